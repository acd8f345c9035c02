"""Rules over windows: planted noise is found, cut off or flagged, at line borders, and places stay true."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.quality.chain import FilterChain
from lc_data.quality.windows import cut_windows
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.filtering import FilterSection
from tests.quality.documents import batch_of

SIZE = 4096
_WORDS = "the city of old stones and long rivers that have been with us to be seen by those who walk at night"


def prose(size: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        lines.append(" ".join(rng.choices(_WORDS.split(), k=12)) + f" {rng.randrange(10**6)}.\n")
    return "".join(lines)


def ocr_noise(size: int, seed: int = 0) -> str:
    """What a scanner makes of a stained page: digits and signs where words were."""
    rng = random.Random(seed)
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        lines.append(
            " ".join("".join(rng.choices("0123456789|~^*_#'.,;", k=rng.randint(1, 7))) for _ in range(12)) + "\n"
        )
    return "".join(lines)


def chain(on_fail: str, dialogues: tuple[str, ...] = (), **windows) -> FilterChain:
    rule = {"rule": "gopher_quality", "windows": {"size_bytes": SIZE, "on_fail": on_fail, **windows}}
    if dialogues:
        rule["domains"] = dialogues
    return FilterChain(FilterSection.model_validate({"rules": [rule]}), dialogues)


GOOD_HEAD = prose(60_000) + ocr_noise(40_000)
BAD_HEAD = ocr_noise(9_000) + prose(90_000)
BAD_MIDDLE = prose(90_000) + ocr_noise(9_000) + prose(91_000, 1)


def test_a_good_head_with_a_bad_body_is_found():
    result = chain("drop").apply(batch_of([GOOD_HEAD, prose(100_000), BAD_MIDDLE]))
    assert result.kept.tolist() == [False, True, True], "a twentieth of bad lines is below max_failed"
    reason, detail = result.dropped[0]
    assert reason == "gopher_quality/windows"
    found = json.loads(detail)
    assert found["measured"] == pytest.approx(0.4, abs=0.05)
    assert found["windows"][0]["offset"] == pytest.approx(60_000, abs=SIZE)
    assert {window["test"] for window in found["windows"]} <= {"few_alpha_words", "hashes", "few_stop_words"}
    mild = prose(90_000) + ocr_noise(10_000)
    assert (
        FilterChain(FilterSection.model_validate({"rules": [{"rule": "gopher_quality"}]}))
        .apply(batch_of([mild]))
        .kept.all()
    ), "judged whole, the head vouches for the tail"
    assert not chain("drop", max_failed=0.05).apply(batch_of([mild])).kept.any()


def test_trim_cuts_bad_ends_and_only_those():
    texts = [GOOD_HEAD, BAD_HEAD, BAD_MIDDLE, prose(50_000), ocr_noise(50_000), "short but bad 123 ** 456"]
    result = chain("trim").apply(batch_of(texts))
    assert result.kept.tolist() == [True, True, True, True, False, False]
    assert [reason for reason, _ in result.dropped.values()] == [
        "gopher_quality/windows",
        "gopher_quality/too_few_words",
    ]
    left = result.documents.column("text").to_pylist()
    assert texts[0].startswith(left[0])
    assert len(left[0]) == pytest.approx(60_000, abs=SIZE)
    assert texts[1].endswith(left[1])
    assert len(left[1]) == pytest.approx(90_000, abs=SIZE)
    assert left[2:] == texts[2:], "what is bad inside, or dropped, is not cut"
    assert all(text.endswith("\n") for text in left[:2]), "cut at line borders"
    assert {(rewrite.row, rewrite.transform, rewrite.added_bytes) for rewrite in result.rewrites} == {
        (row, "gopher_quality-trim", len(left[row]) - len(texts[row])) for row in (0, 1)
    }


def test_a_bad_middle_beyond_the_limit_drops_what_trimming_cannot_save():
    result = chain("trim").apply(batch_of([prose(20_000) + ocr_noise(30_000) + prose(20_000, 1) + ocr_noise(9_000)]))
    assert result.dropped[0][0] == "gopher_quality/windows"
    assert not result.rewrites


def test_parts_stay_true_when_head_and_tail_go():
    head, tail = ocr_noise(9_000), ocr_noise(9_000, 1)
    chapters = [prose(30_000, seed) for seed in range(3)]
    pieces = [head, *chapters, tail]
    starts = [sum(map(len, pieces[:index])) for index in range(len(pieces))]
    parts = [
        {"source": f"p{index}", "offset": start, "length": len(piece)}
        for index, (start, piece) in enumerate(zip(starts, pieces, strict=True))
    ]
    result = chain("trim").apply(batch_of(["é" * 5 + "\n", "".join(pieces)], parts=[None, parts]))
    row = result.documents.slice(1, 1).to_pylist()[0]
    data = row["text"].encode()
    assert len(data) == pytest.approx(90_000, abs=2 * SIZE)
    by_name = {part["source"]: part for part in row["parts"]}
    for index in (1, 2):
        part = by_name[f"p{index + 1}"] if index == 1 else by_name["p3"]
        assert chapters[index].encode().startswith(data[part["offset"] : part["offset"] + part["length"]])
    middle = by_name["p2"]
    assert data[middle["offset"] : middle["offset"] + middle["length"]].decode() == chapters[1]
    assert all(0 <= part["offset"] <= part["offset"] + part["length"] <= len(data) for part in row["parts"])


def test_flagged_windows_are_named_in_the_metadata_and_the_text_stays():
    result = chain("flag").apply(
        batch_of([BAD_MIDDLE, prose(50_000)], metadata=['{"year": 1901, "lc_data": {"coherence": 0.5}}', None])
    )
    assert result.kept.all()
    assert result.documents.column("text").to_pylist()[0] == BAD_MIDDLE
    written, none = result.documents.column("metadata").to_pylist()
    metadata = json.loads(written)
    assert (metadata["year"], metadata["lc_data"]["coherence"], none) == (1901, 0.5, None)
    flagged = metadata["lc_data"]["failed_windows"]["gopher_quality"]
    assert flagged == result.notes[0]["failed_windows"]["gopher_quality"]
    noise = BAD_MIDDLE[90_000:99_000]
    for window in flagged:
        assert set(BAD_MIDDLE[window["offset"] : window["offset"] + window["length"]].split()) & set(noise.split())


def test_long_repetition_is_judged_by_window_where_the_whole_would_go():
    song = "".join(prose(900, verse) + "and so the song went on as it had before them all\n" for verse in range(40))
    bounds = {"rule": "gopher_repetition", "max_duplicate_lines": 0.06, "max_duplicate_line_chars": None}
    bounds |= {"max_top_ngram_chars": {}, "max_duplicate_ngram_chars": {}}
    whole = FilterChain(FilterSection.model_validate({"rules": [bounds]}))
    by_window = FilterChain(
        FilterSection.model_validate({"rules": [bounds | {"windows": {"size_bytes": SIZE // 2, "whole": False}}]})
    )
    assert not whole.apply(batch_of([song])).kept.any()
    assert by_window.apply(batch_of([song])).kept.all()
    assert not by_window.apply(batch_of(["la la\n" * 20])).kept.any(), "a document of one window is judged whole"


@given(st.lists(st.text("aé汉 \n", max_size=300), max_size=5), st.integers(4, 60))
def test_windows_tile_each_text_at_line_borders(texts, size):
    cut = cut_windows(pa.array(texts, pa.large_string()), size)
    windows = cut.windows.to_pylist()
    for row, text in enumerate(texts):
        mine = windows[cut.first[row] : cut.first[row + 1]]
        assert mine
        assert "".join(mine) == text
        assert all(window.endswith("\n") for window in mine[:-1])
        assert len(mine) <= max(1, round(len(text.encode()) / size))


def test_a_sliced_batch_is_cut_like_a_whole_one():
    batch = batch_of(["first\n" * 9, GOOD_HEAD, "last"])
    assert (
        chain("trim").apply(batch.slice(1, 1)).documents["text"][0] == chain("trim").apply(batch).documents["text"][1]
    )


def test_dialogues_are_never_trimmed():
    with pytest.raises(RecipeError, match="trim the dialogues of 'chats'"):
        chain("trim", dialogues=("chats",))
    assert chain("drop", dialogues=("chats",)).apply(batch_of([GOOD_HEAD], domain=["chats"])).kept.tolist() == [False]


def test_a_rule_that_cuts_may_not_follow_one_that_flags():
    rules = [
        {"rule": "gopher_quality", "windows": {"on_fail": "flag"}},
        {"rule": "length", "min_words": 1, "windows": {"on_fail": "trim"}},
    ]
    with pytest.raises(ValidationError, match="after 'gopher_quality' has flagged"):
        FilterSection.model_validate({"rules": rules})
    assert FilterSection.model_validate({"rules": rules[::-1]})
