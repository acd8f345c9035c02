"""The bench of tokenising at a tiny size, and the data that users give it."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest

from lc_data.bench import run_bench
from lc_data.bench.data import head, read_kinds, sample_balanced
from lc_data.bench.tokenize import TokenizeSizes, bench_tokenize
from lc_data.failure import Failure
from lc_data.lengths.gigatoken_encoder import GigatokenEncoder
from lc_data.recipe.errors import RecipeError
from tests.lengths.texts import mixed_text, small_tokenizer

TINY = TokenizeSizes(peer_bytes=20_000, portion_bytes=30_000, memory_bytes=4_000_000)


def write_corpus(folder) -> None:
    """Two kinds of text, one of them compressed, and dialogues, which have no text."""
    folder.mkdir()
    plain = [json.dumps({"text": mixed_text(seed, 200)}) for seed in range(30)]
    (folder / "mixed.jsonl").write_text("\n".join(plain))
    with gzip.open(folder / "han.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(json.dumps({"text": "天地玄黄" * seed}, ensure_ascii=False) for seed in range(1, 30)))
    (folder / "chats.jsonl").write_text(json.dumps({"messages": []}))
    (folder / "readme.md").write_text("no records")


def test_both_sides_read_the_same_texts_and_memory_is_measured(tmp_path):
    write_corpus(tmp_path / "data")
    # Two megabytes: a shorter text may find room in what the process holds already, and then takes no memory at all.
    long = [json.dumps({"text": mixed_text(seed, 6_000)}) for seed in range(40)]
    (tmp_path / "data" / "mixed.jsonl").write_text("\n".join(long))
    (tmp_path / "tokenizer.json").write_text(small_tokenizer())
    result = bench_tokenize([str(tmp_path / "data")], str(tmp_path / "tokenizer.json"), TINY)
    assert [row.what.split(",")[0].split(" ")[0] for row in result.rows] == ["all", "han", "mixed", "memory"]
    assert "by gigatoken" in result.rows[0].what
    for row in result.rows:
        assert row.ours > 0
        assert row.theirs > 0
        assert math.isclose(row.ratio, row.theirs / row.ours if row.unit == "bytes per byte" else row.ours / row.theirs)


def test_different_ids_are_a_failure(tmp_path, monkeypatch):
    write_corpus(tmp_path / "data")
    (tmp_path / "tokenizer.json").write_text(small_tokenizer())
    right = GigatokenEncoder.encode
    monkeypatch.setattr(
        GigatokenEncoder,
        "encode",
        lambda self, texts: [
            array + np.uint16(len(text) > 16_384) for text, array in zip(texts, right(self, texts), strict=True)
        ],
    )
    (tmp_path / "data" / "long.jsonl").write_text(json.dumps({"text": mixed_text(1, 6_000)}))
    with pytest.raises(Failure, match=r"different ids for the text .* of 'long'"):
        bench_tokenize([str(tmp_path / "data")], str(tmp_path / "tokenizer.json"), TokenizeSizes(peer_bytes=200_000))


def test_kinds_are_files_and_records_without_text_are_left_out(tmp_path):
    write_corpus(tmp_path / "data")
    kinds = read_kinds([str(tmp_path / "data")])
    assert {kind: len(texts) for kind, texts in kinds.items()} == {"han": 29, "mixed": 30}
    assert read_kinds([str(tmp_path / "data" / "mixed.jsonl")]) == {"mixed": kinds["mixed"]}


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.jsonl", "does not exist"), ("empty", "holds no file"), ("data/chats.jsonl", "no record has a `text`")],
)
def test_data_that_is_not_there_or_has_no_text_is_said(tmp_path, name, message):
    write_corpus(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=message):
        read_kinds([str(tmp_path / name)])


def test_a_tokenizer_that_is_not_there_is_said(tmp_path):
    write_corpus(tmp_path / "data")
    with pytest.raises(RecipeError, match=r"--tokenizer .* does not exist"):
        run_bench("tokenize", [str(tmp_path / "data")], str(tmp_path / "none.json"))


def test_a_bench_that_makes_its_own_text_takes_none():
    with pytest.raises(RecipeError, match="makes its own text"):
        run_bench("pack", tokenizer="tokenizer.json")


def test_every_kind_has_its_share_of_the_bytes():
    kinds = {"books": ["b" * 30_000] * 10, "notes": ["n" * 10] * 10_000}
    sample = sample_balanced(kinds, 40_000, seed=1)
    joined = "".join(sample)
    assert (joined.count("b"), joined.count("n")) == (30_000, 10_000)
    assert sample == sample_balanced(kinds, 40_000, seed=1)
    assert sorted(sample_balanced(kinds, 1 << 30, seed=1)) == sorted(kinds["books"] + kinds["notes"])


def test_a_head_ends_at_a_whole_character():
    assert list(head(["ab", "天地", "c"], 6)) == ["ab", "天"]
    assert list(head(["ab"], 0)) == []
