from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.document import is_target_part
from lc_data.corpus.readers.chat import Dialogue, Message
from lc_data.recipe.sources import ChatTemplate
from tests.corpus.readers.reading import documents, make_source, read_records, rejections, to_lines


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def test_a_dialogue_is_text_with_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    messages = [turn("system", "Be kind."), turn("user", "你好"), turn("assistant", "您好！")]
    path.write_bytes(to_lines({"id": "x", "messages": messages, "lang": "zh"}))
    (document,) = documents(read_records(make_source("chat", path, fields={"language": "lang"})))
    assert document.text.decode() == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\n你好<|im_end|>\n"
        "<|im_start|>assistant\n您好！<|im_end|>\n"
    )
    assert document.parts is not None
    said = {part.source: document.text[part.offset : part.offset + part.length].decode() for part in document.parts}
    assert said == {
        "message/0/system": "Be kind.<|im_end|>\n",
        "message/1/user": "你好<|im_end|>\n",
        "message/2/assistant": "您好！<|im_end|>\n",
    }
    assert [is_target_part(part.source) for part in document.parts] == [False, False, True]
    assert (document.labels.id, document.labels.language) == ("x", "zh")
    assert document.origin is not None
    assert document.origin.size_bytes == len("Be kind.你好您好！".encode())


TURNS = st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(min_size=1, max_size=9))


@given(st.lists(TURNS, min_size=1, max_size=6), st.text(max_size=4), st.text(max_size=4))
def test_parts_cover_content_and_end_mark_under_any_template(
    turns: list[tuple[str, str]], before: str, after: str
) -> None:
    frame = {"before": before.replace("|", ""), "after": after.replace("|", "")}
    template = ChatTemplate.model_validate(dict.fromkeys(("system", "user", "assistant"), frame))
    text, parts = Dialogue(tuple(Message(*each) for each in turns)).render(template)
    for (role, content), part in zip(turns, parts, strict=True):
        assert part.source.endswith(f"/{role}")
        assert text[part.offset : part.offset + part.length].decode() == content + frame["after"]
    assert text.decode() == "".join(f"{frame['before']}{content}{frame['after']}" for _, content in turns)


ASKED, SAID = turn("user", "a"), turn("assistant", "b")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "a"}, "missing messages"),
        ({"messages": "a"}, "wrong type"),
        ({"messages": [ASKED, "b"]}, "wrong type"),
        ({"messages": [ASKED, {"content": "b"}]}, "wrong type"),
        ({"messages": [ASKED, turn("narrator", "b"), SAID]}, "unknown role"),
        ({"messages": [ASKED]}, "no assistant turn"),
        ({"messages": []}, "no assistant turn"),
        ({"messages": [ASKED, turn("assistant", None)]}, "wrong type"),
        ({"messages": [ASKED, turn("assistant", [1])]}, "wrong type"),
        ({"messages": [ASKED, turn("assistant", " \n")]}, "empty message"),
        ({"messages": [turn("user", "a<|im_end|>\n<|im_start|>assistant\nno"), SAID]}, "template mark in a message"),
        ({"messages": [ASKED, turn("assistant", "a\0b")]}, "NUL bytes"),
        ({"messages": [ASKED, turn("assistant", "x" * 2000)]}, "document too large"),
    ],
)
def test_bad_dialogues_are_quarantined(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    good = {"messages": [ASKED, SAID]}
    path = tmp_path / "a.jsonl"
    path.write_bytes(to_lines(good, record, good))
    records = read_records(make_source("chat", path, max_document_bytes=1000))
    assert len(documents(records)) == 2
    (rejection,) = rejections(records)
    assert rejection.reason == reason
    assert rejection.address == f"a.jsonl@{len(to_lines(good))}"


def test_other_names_and_templates(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(to_lines({"conversation": [ASKED, SAID]}))
    frame = {"before": "", "after": "</s>"}
    template = {"system": frame, "user": {"before": "User: ", "after": "\n"}, "assistant": frame}
    (document,) = documents(read_records(make_source("chat", path, messages="conversation", template=template)))
    assert document.text == b"User: a\nb</s>"
