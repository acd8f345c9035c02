"""Each bench at a tiny size: what it compares is comparable. How fast anything is, no test asks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lc_data.bench import books, chain, clustering, dedupe, filter, language, sketch  # noqa: A004
from lc_data.bench.text import batch_of, column_of, cut_documents
from lc_data.dedup.minhash import estimate_jaccard, sign
from lc_data.lengths.train import train_bpe
from lc_data.recipe.errors import RecipeError


def assert_whole(result, count: int) -> None:
    found = result.as_json()
    assert len(found["rows"]) == count
    for row in found["rows"]:
        assert row["ours"] > 0, row
        assert row["theirs"] > 0, row
        assert row["ratio"] > 0, row
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("way", sorted(clustering.WAYS))
def test_both_ways_of_clustering_find_the_components_of_a_plain_search(way, tmp_path):
    clustering.write_keys(str(tmp_path), 16 * 300, seed=1)
    keys, sizes = np.load(tmp_path / "keys.npy"), np.load(tmp_path / "bytes.npy")
    members: dict[int, set[int]] = {}
    for row, key in enumerate(keys.tolist()):
        members.setdefault(key, set()).add(row // 16)
    clusters: list[set[int]] = []
    for group in members.values():
        joined = group.union(*(other for other in clusters if other & group))
        clusters = [other for other in clusters if not other & group] + [joined]
    expected = sum(len(each) > 1 for each in clusters)
    assert expected > 10
    assert clustering.WAYS[way](keys, sizes) == expected


def test_dedupe_finds_what_is_planted_and_measures_clustering_in_processes_of_its_own():
    tiny = dedupe.DedupeSizes(
        keys=1_600, rounds=1, planted=60, books=2, book_chars=120_000, unrelated=12, unrelated_words=4_000
    )
    result = dedupe.bench_dedupe(tiny)
    clustered, (recall, precision, *planted, unrelated) = result.rows[:6], result.rows[6:]
    assert [row.what.split(": ")[1] for row in clustered] == ["time", "peak memory", "found"] * 2
    assert {row.theirs for row in clustered[2::3]} == {clustered[2].ours}
    assert recall.ours > 0.9
    assert precision.ours == 1.0
    assert len(planted) == 7
    assert {row.ours for row in planted} == {1.0}
    assert unrelated.ours == 12


def test_language_compares_windows_with_the_whole():
    sizes = language.LanguageSizes(20_000, 1, (2_000,), 80, rounds=1)
    result = language.bench_language(sizes)
    assert_whole(result, 2)
    assert result.rows[1].ours > 0.9


def test_texts_of_many_languages_are_of_many_languages():
    found = language.find_languages(batch_of(language.many_languages(80, 2_000)), whole=True)
    assert len(set(found[1::2])) > 25
    assert found[::2].count("en") > 35


def test_our_side_of_filter_keeps_plain_text_and_drops_spoiled():
    kept = filter.keep(filter.OURS, batch_of(filter.mixed_documents(200)))
    assert kept[::2].sum() > 2 * kept[1::2].sum() > 0


def test_our_side_of_sketch_gives_a_key_for_each_band():
    keys = sketch.sketch(column_of(cut_documents(2_000, 3, seed=1)))
    assert keys.shape == (3, 16)
    assert len(np.unique(keys)) == 48


def test_our_side_of_chain_goes_from_files_to_tokens(tmp_path):
    texts = cut_documents(2_000, 60, seed=1)
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(train_bpe(texts, 512, ("<|endoftext|>",)))
    chain.write_files(tmp_path / "ours", texts, 2)
    assert len(list((tmp_path / "ours").iterdir())) == 2
    assert chain.run_stages(tmp_path / "ours", tokenizer, chain.ChainSizes(workers=1, backend="serial")) > 0
    manifest = json.loads((Path(f"{tmp_path / 'ours'}-run") / "bucket" / "manifest.json").read_text())
    assert sum(shard["tokens"] for shard in manifest["shards"]) > 5_000


def test_data_that_is_not_there_or_has_no_text_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(chain, "require_peers", lambda *_: None)
    with pytest.raises(RecipeError, match="does not exist"):
        chain.bench_chain([str(tmp_path / "none.jsonl")])
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"messages": []}\n')
    with pytest.raises(RecipeError, match="no record has a `text`"):
        chain.bench_chain([str(empty)])


def test_planted_books_say_what_is_what():
    planted = books.plant_books(2, 20_000, seed=1)
    assert len(planted.texts) == 2 * 8
    assert sorted(row for rows in planted.kinds.values() for row in rows) == list(range(2, 16))
    for kind, rows in planted.kinds.items():
        for original, row in zip(planted.texts[:2], rows, strict=True):
            assert (planted.texts[row] in original) == ("edited" not in kind)
            assert ("excerpt" in kind) == (len(planted.texts[row]) < 10_000)


def test_characters_join_unrelated_books_that_share_nothing_but_their_words():
    unrelated = books.make_books(20, 12_000, seed=1)
    assert dedupe.count_clusters_by_characters(unrelated) < 10
    assert dedupe.remove_with_stage(unrelated) == []


@pytest.mark.peers
def test_decisions_are_those_of_datatrove_on_the_same_words():
    assert filter.compare_decisions(1_000).ours >= 0.999


@pytest.mark.peers
def test_filter_measures_at_each_size_with_both_kinds_of_words():
    assert_whole(filter.bench_filter(filter.FilterSizes(((2_000, 40, 10), (20_000, 2, 2)), 100, 1)), 5)


@pytest.mark.peers
def test_sketch_measures_each_peer():
    result = sketch.bench_sketch(sketch.SketchSizes(((2_000, 40, 10, 20),), 1))
    assert_whole(result, 3)
    assert {row.peer for row in result.rows} == {"datatrove", "datasketch", "rensa"}


@pytest.mark.peers
def test_peers_sign_what_we_sign():
    """Estimates of the same pair agree within the error of 128 permutations: 5-grams of words on every side."""
    plain = cut_documents(20_000, 1, seed=1)[0]
    pair = [plain, plain[: len(plain) // 2] + cut_documents(20_000, 2, seed=2)[1][: len(plain) // 2]]
    values = sign(column_of(pair), 5, 128).values
    ours = estimate_jaccard(values[:1], values[1:])[0]
    sides = [sketch.sign_with_datatrove()(pair), sketch.sign_with_datasketch(pair), sketch.sign_with_rensa(pair)]
    for left, right in sides:
        theirs = np.mean(np.ravel(np.array(left)) == np.ravel(np.array(right)))
        assert abs(theirs - ours) < 0.2
    assert 0.15 < ours < 0.6


@pytest.mark.peers
def test_chain_runs_the_same_chain_on_both_sides(tmp_path):
    data = tmp_path / "documents.jsonl"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in cut_documents(2_000, 400, seed=1)))
    sizes = chain.ChainSizes(0, 700_000, warm_bytes=100_000, workers=1, vocabulary=512, backend="serial")
    result = chain.bench_chain([str(data)], sizes=sizes)
    assert_whole(result, 1)
