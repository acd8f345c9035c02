"""What may be drawn, and what first; and that what is kept of a stratum is else no special part of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.mixing.mixture import plan_mixture
from lc_data.mixing.sampling import sample
from lc_data.mixing.selection import mark_eligible, rank_by
from lc_data.mixing.strata import Strata
from lc_data.mixing.stream import DocumentStream, stratum_streams
from lc_data.recipe.mixture import MixtureSection, Preference, Range

VALUES = st.lists(st.one_of(st.just(float("nan")), st.floats(-4, 4, width=16)), max_size=40)


@given(VALUES, st.floats(-4, 4), st.floats(0, 4))
def test_eligible_is_what_lies_in_the_range(values: list[float], low: float, width: float) -> None:
    columns = {"q": np.array(values, np.float32), "all": np.zeros(len(values), np.float32)}
    where = {"q": Range(min=low, max=low + width), "all": Range(max=0)}
    marks = mark_eligible(columns, where, len(values))
    assert marks.tolist() == [np.float32(low) <= np.float32(v) <= np.float32(low + width) for v in values]
    assert mark_eligible(columns, {}, len(values)).all()


def test_a_value_that_was_stored_in_four_bytes_meets_its_own_bound() -> None:
    column = {"q": np.array([0.3, np.nextafter(np.float32(0.3), np.float32(0))], np.float32)}
    assert mark_eligible(column, {"q": Range(min=0.3)}, 2).tolist() == [True, False]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from([np.nan, 0, 0.5, 1])), max_size=40))
@pytest.mark.parametrize("order", ["high", "low"])
def test_the_best_documents_of_each_stratum_come_first(order: str, rows: list[tuple[int, int, float]]) -> None:
    stratum, length, value = (np.array([row[i] for row in rows], t) for i, t in enumerate(("i4", "u4", "f4")))
    rank = rank_by({"q": value}, Preference(column="q", order=order))  # type: ignore[arg-type]
    streams = stratum_streams(stratum, length, np.zeros(len(rows), bool), 4, rank)
    sign = -1 if order == "high" else 1
    for identity in range(3):
        mine = [i for i, row in enumerate(rows) if row[0] == identity and row[1]]
        mine.sort(key=lambda i: (np.isnan(value[i]), 0 if np.isnan(value[i]) else sign * value[i]))
        assert mine == (streams[identity].document.tolist() if identity in streams else [])


def test_nothing_preferred_is_no_rank() -> None:
    assert rank_by({}, None) is None


LENGTHS = np.random.default_rng(7).lognormal(6, 1, 60_000).astype(np.uint32)
SHORT = LENGTHS < 1000


def kept(lengths: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raise the long share of documents in an order to 80%; return the lengths of the short ones, all and kept."""
    tokens = np.array([[lengths[lengths < 1000].sum(), lengths[lengths >= 1000].sum()]], np.int64)
    mixture = MixtureSection.model_validate(
        {"lengths": {"mode": "per_source", "long_share": 0.8, "threshold_tokens": 1000}}
    )
    plan = plan_mixture(Strata(np.ones_like(tokens), tokens), ["web"], mixture, (1000,))
    short = order[lengths[order] < 1000]
    drawn = sample(DocumentStream.of(short, lengths[short], 1 << 20), int(plan.wanted_tokens[0, 0]))
    return lengths[short], lengths[short[: drawn.documents]]


def looks_biased(everything: np.ndarray, some: np.ndarray) -> bool:
    """Whether the mean length of what was kept is further off than five standard errors of a random sample."""
    error = everything.std() / np.sqrt(len(some)) * np.sqrt(1 - len(some) / len(everything))
    return bool(abs(some.mean() - everything.mean()) > 5 * error)


def test_what_is_kept_of_a_stratum_is_an_unbiased_sample_of_it() -> None:
    everything, some = kept(LENGTHS, np.arange(len(LENGTHS)))
    assert 0.1 < len(some) / len(everything) < 0.6
    assert not looks_biased(everything, some)
    deciles = np.quantile(everything, np.linspace(0.1, 0.9, 9))
    shares = np.searchsorted(deciles, some, side="right")
    assert np.bincount(shares, minlength=10) / len(some) == pytest.approx(0.1, abs=0.01)


def test_documents_in_order_of_length_would_be_noticed() -> None:
    """Planted fault: strata whose documents are not shuffled give their shortest, and the check above says so."""
    assert looks_biased(*kept(LENGTHS, np.argsort(LENGTHS, kind="stable")))
