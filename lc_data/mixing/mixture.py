"""The mixture: how many tokens to draw from each stratum, or why what was asked for cannot be had.

Shares are exact fractions up to the last step, so that a plan that asks for everything once gets everything once, to
the token, and so that every machine plans the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from lc_data.mixing.strata import Strata, long_buckets
from lc_data.recipe.mixture import MixtureSection


class InfeasibleMixtureError(ValueError):
    """A mixture that the corpus cannot give; the message names what binds, with numbers, and what would mend it."""


@dataclass(frozen=True)
class MixturePlan:
    """What to draw: arrays [n_domains, n_buckets]."""

    wanted_share: np.ndarray
    """float64, of all tokens; sums to 1"""
    wanted_tokens: np.ndarray
    """int64; sums to the budget"""

    @property
    def budget_tokens(self) -> int:
        """All tokens to draw."""
        return int(self.wanted_tokens.sum())


@dataclass(frozen=True)
class _Want:
    """A share of the budget that is to come evenly from some buckets of one domain."""

    row: int
    buckets: np.ndarray
    share: Fraction
    available: int
    name: str


def plan_mixture(
    available: Strata, domains: Sequence[str], mixture: MixtureSection, edges_tokens: Sequence[int]
) -> MixturePlan:
    """Decide how many tokens each stratum gives.

    ``available`` has one row per name in ``domains``. Inside a domain (and inside its long and its short documents,
    when lengths are mixed per source) all documents are drawn at the same rate, so that they stay an unbiased sample.
    Per-source mixing to a long share q is, at a budget that uses each long document once, what Fu et al.
    (arXiv:2402.10171) do: keep every long document and each shorter one with probability r = p(1-q) / (q(1-p)).

    Raises ValueError for weights that do not fit the domains and for a threshold that is no bucket edge;
    :class:`InfeasibleMixtureError` when some documents would have to be seen more than max_epochs times.
    """
    wants = _wants(available, domains, mixture, edges_tokens)
    cap = Fraction(str(mixture.max_epochs))
    possible = min((cap * want.available / want.share for want in wants), default=Fraction(0))
    budget = mixture.budget_tokens
    if budget is None:
        budget = floor(min(possible, min((want.available / want.share for want in wants), default=Fraction(0))))
    if budget > possible or budget < 1:
        raise InfeasibleMixtureError(_explain(wants, budget, mixture.max_epochs, floor(possible)))

    shares = np.zeros(available.tokens.shape, object)
    for want in wants:
        for bucket in want.buckets:
            shares[want.row, bucket] = want.share * int(available.tokens[want.row, bucket]) / want.available
    return MixturePlan(shares.astype(np.float64), _apportion(shares, budget))


def keep_rate(long_share: float, wanted_long_share: float) -> float:
    """Return r = p(1-q) / (q(1-p)): the rate of short documents that turns long share p into q, all long ones kept.

    Fu et al., arXiv:2402.10171, section 3; 30% to 70% is r = 0.184. Above 1 it is long documents that must be thinned.
    """
    p, q = long_share, wanted_long_share
    return p * (1 - q) / (q * (1 - p))


def _wants(
    available: Strata, domains: Sequence[str], mixture: MixtureSection, edges_tokens: Sequence[int]
) -> list[_Want]:
    by_source = mixture.lengths.mode == "per_source"
    long = long_buckets(edges_tokens, mixture.lengths.threshold_tokens) if by_source else None
    if isinstance(mixture.lengths.long_share, dict):
        _check_names(mixture.lengths.long_share, domains, "lengths.long_share")
    wants = []
    for row, (domain, share) in enumerate(zip(domains, _domain_shares(available, domains, mixture), strict=True)):
        q = mixture.lengths.long_share_of(domain)
        groups = [(np.ones(available.n_buckets, bool), Fraction(1), domain)]
        if long is not None and q is not None:
            edge, part = _length(mixture.lengths.threshold_tokens), Fraction(str(q))
            groups = [(~long, 1 - part, f"{domain} < {edge}"), (long, part, f"{domain} >= {edge}")]
        for mask, part, name in groups:
            buckets = np.flatnonzero(mask)
            tokens = int(available.tokens[row, buckets].sum())
            if share:
                wants.append(_Want(row, buckets, share * part, tokens, name))
    return wants


def _domain_shares(available: Strata, domains: Sequence[str], mixture: MixtureSection) -> list[Fraction]:
    if mixture.weights is None:
        tokens = [int(row.sum()) for row in available.tokens]
        return [Fraction(count, max(sum(tokens), 1)) for count in tokens]
    _check_names(mixture.weights, domains, "weights")
    for domain, tokens in zip(domains, available.tokens, strict=True):
        if domain not in mixture.weights and tokens.any():
            raise ValueError(f"weights: no weight for domain {domain!r}: add it, with 0 to leave it out")
    weights = [Fraction(str(mixture.weights.get(domain, 0))) for domain in domains]
    return [weight / sum(weights) for weight in weights]


def _check_names(named: dict[str, float], domains: Sequence[str], key: str) -> None:
    for name in named:
        if name not in domains:
            raise ValueError(f"{key}: the corpus has no domain {name!r} for this purpose; it has {', '.join(domains)}")


def _apportion(shares: np.ndarray, budget: int) -> np.ndarray:
    """Whole tokens by largest remainder: they sum to the budget, and none is more than its exact share rounded up."""
    exact = [share * budget for share in shares.ravel()]
    tokens = [floor(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda i: (tokens[i] - exact[i], i))
    for i in order[: budget - sum(tokens)]:
        tokens[i] += 1
    return np.array(tokens, np.int64).reshape(shares.shape)


def _explain(wants: list[_Want], budget: int, max_epochs: float, possible: int) -> str:
    epochs = f"cap {max_epochs:g} epoch{'s' * (max_epochs != 1)}"
    cap = Fraction(str(max_epochs))
    lines = []
    for want in wants:
        # A budget of 0 means that nothing at all can be had: what binds then is whatever has no tokens.
        if want.share * budget > cap * want.available or not want.available:
            needed = _count(floor(want.share * budget)) if budget else f"{float(want.share):.2%} of the budget"
            allowed = _count(floor(cap * want.available))
            lines.append(f"{want.name}: {_count(want.available)} tokens, needed {needed}: {epochs} allows {allowed}")
    if not lines:
        return "the mixture has no tokens to draw from: the corpus has none for this purpose"
    fix = f"budget_tokens of at most {possible} is possible with these shares; " if possible else ""
    return (
        "the mixture cannot be met:\n  "
        + "\n  ".join(lines)
        + (f"\n{fix}or lower the share of what is named here, or raise max_epochs, or add documents")
    )


def _count(tokens: int) -> str:
    """Tokens with four significant digits, exact below 100,000."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if tokens >= max(size, 100_000):
            return f"{tokens / size:.4g}{unit}"
    return str(tokens)


def _length(tokens: int) -> str:
    return f"{tokens // 1024}K" if tokens % 1024 == 0 else str(tokens)
