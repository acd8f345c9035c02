"""Coherence tells spliced documents from whole ones; the band's limits are those of sorting everything at once."""

from __future__ import annotations

import json
import random
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.quality.chain import FilterChain
from lc_data.quality.compression import (
    band_limits,
    compressed_bytes,
    gzip_steps,
    length_bucket,
    measure_coherence,
    merge_histograms,
)
from lc_data.recipe.filtering import FilterSection, GzipBand
from lc_data.text.buffers import as_text
from tests.quality.documents import batch_of


def story(seed: int, size: int) -> str:
    """Prose with its own names, so that two stories share little."""
    rng = random.Random(seed)
    names = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(4, 9))) for _ in range(400)]
    words: list[str] = []
    while sum(map(len, words)) + len(words) < size:
        words += rng.choices(names, k=100)
    return " ".join(words)[:size]


def test_compression_is_zlibs_however_large_the_text():
    text = as_text(story(0, 60_000) * 50)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    assert compressed_bytes(text) == len(deflate.compress(text.tobytes()) + deflate.flush())
    assert gzip_steps(as_text("a" * 10_000)) < 50
    assert gzip_steps(np.random.default_rng(0).integers(0, 256, 10_000, np.uint8)) >= 10_000


def test_coherence_tells_one_story_from_eight():
    whole, spliced = story(1, 64_000), "".join(story(seed, 8_000) for seed in range(2, 10))
    assert measure_coherence(as_text(whole), 8192) > 2 * measure_coherence(as_text(spliced), 8192)
    pieces = [whole.encode()[at : at + 8192] for at in range(0, len(whole), 8192)]
    size = lambda data: compressed_bytes(np.frombuffer(data, np.uint8))  # noqa: E731
    assert measure_coherence(as_text(whole), 8192) == 1 - size(whole.encode()) / sum(map(size, pieces))
    assert np.isnan(measure_coherence(as_text("short"), 8192))


def test_the_rule_writes_coherence_down_and_drops_only_by_bounds():
    texts = [story(1, 64_000), "".join(story(seed, 8_000) for seed in range(2, 10)), "short"]
    batch = batch_of(texts, metadata=['{"year": 1901}', None, None])
    result = FilterChain(FilterSection.model_validate({"rules": [{"rule": "coherence"}]})).apply(batch)
    assert result.kept.all()
    first, second, none = result.documents.column("metadata").to_pylist()
    assert json.loads(first)["year"] == 1901
    values = [json.loads(first)["lc_data"]["coherence"], json.loads(second)["lc_data"]["coherence"]]
    assert values == pytest.approx(result.columns["coherence/coherence"][:2], abs=1e-4)
    assert none is None
    bound = {"rule": "coherence", "min": sum(values) / 2}
    dropped = FilterChain(FilterSection.model_validate({"rules": [bound]})).apply(batch).dropped
    assert {row: reason for row, (reason, _) in dropped.items()} == {1: "coherence/low_coherence"}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=120),
    st.integers(0, 2**32),
    st.sampled_from([0, 0.1, 0.2, 0.45]),
    st.sampled_from([0, 0.2, 0.5]),
)
def test_limits_are_those_of_sorting_everything_whatever_the_shards(documents, seed, low, high):
    band = GzipBand(drop_low=low, drop_high=high, min_documents=5)
    rng = random.Random(seed)
    shards: list[dict[str, dict[int, int]]] = [{} for _ in range(rng.randint(1, 6))]
    for stratum, steps in documents:
        histogram = rng.choice(shards).setdefault(stratum, {})
        histogram[steps] = histogram.get(steps, 0) + 1
    merged = merge_histograms(iter(json.loads(json.dumps(shards))))
    for stratum in {stratum for stratum, _ in documents}:
        ranked = sorted(steps for name, steps in documents if name == stratum)
        limits = band_limits(band, merged[stratum])
        if len(ranked) < 5:
            assert limits is None
            continue
        assert limits == (ranked[int(len(ranked) * low)], ranked[len(ranked) - 1 - int(len(ranked) * high)])


def test_a_bucket_begins_at_its_edge():
    band = GzipBand(edges_bytes=(10, 20))
    assert [length_bucket(band, size) for size in (0, 9, 10, 19, 20, 99)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"drop_low": 0.5, "drop_high": 0.5}, "leave nothing"), ({"edges_bytes": (9, 9)}, "must be positive and rise")],
)
def test_a_band_that_makes_no_sense_is_rejected(keys, message):
    with pytest.raises(ValidationError, match=message):
        GzipBand(**keys)
