"""What a mixture asks for: a share of the budget for each group of length buckets of a domain.

Every mode comes down to such groups, inside which all documents are drawn at one rate and so stay an unbiased sample.
Shares are exact fractions, so that a plan that asks for everything once gets everything once, to the token, and so that
every machine plans the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np

from lc_data.mixing.strata import Strata, long_buckets
from lc_data.recipe.lengths import LengthMix
from lc_data.recipe.mixture import MixtureSection

DIGITS = Context(prec=28)
"""Roots are taken in decimals of a fixed precision: the library's float power differs between machines."""


@dataclass(frozen=True)
class Want:
    """A share of the budget that is to come evenly from some buckets of one domain."""

    row: int
    """The domain."""
    buckets: np.ndarray
    """int64: some buckets of the domain"""
    share: Fraction
    available: int
    """Tokens in these buckets."""
    name: str
    """For messages: ``books >= 32K``."""


@dataclass(frozen=True)
class Scene:
    """What a mixture is planned on."""

    available: Strata
    domains: Sequence[str]
    edges_tokens: Sequence[int]

    def want(self, row: int, buckets: np.ndarray, share: Fraction, suffix: str = "") -> Want:
        """Return a want for some buckets of a domain."""
        tokens = int(self.available.tokens[row, buckets].sum())
        return Want(row, buckets, share, tokens, self.domains[row] + suffix)

    @property
    def domain_tokens(self) -> list[int]:
        """All tokens of each domain."""
        return [int(row.sum()) for row in self.available.tokens]


def wants_of(scene: Scene, mixture: MixtureSection) -> list[Want]:
    """Return what a mixture without stages asks for: positive shares that sum to 1, by domain, then by length.

    Raises ValueError for names that do not fit the domains and for lengths that are no bucket edge.
    """
    lengths = mixture.lengths
    for key, table in (("long_share", lengths.long_share), ("upsample", lengths.upsample)):
        check_names(table if isinstance(table, dict) else {}, scene.domains, f"lengths.{key}")
    check_names(mixture.max_epochs if isinstance(mixture.max_epochs, dict) else {}, scene.domains, "max_epochs")
    if lengths.mode == "buckets":
        wants = _by_range(scene, lengths)
    elif lengths.mode == "global":
        wants = _global(scene, lengths)
    else:
        wants = _by_domain(scene, mixture)
    return [want for want in wants if want.share]


def split_by_length(wants: Iterable[Want], scene: Scene, threshold_tokens: int) -> list[Want]:
    """Split wants that hold long and short documents in two, each with its natural part of the share."""
    long = long_buckets(scene.edges_tokens, threshold_tokens)
    edge = length_name(threshold_tokens)
    parts = []
    for want in wants:
        kinds = [(want.buckets[~long[want.buckets]], f" < {edge}"), (want.buckets[long[want.buckets]], f" >= {edge}")]
        if not want.available or not all(len(buckets) for buckets, _ in kinds):
            parts.append(want)
            continue
        for buckets, suffix in kinds:
            part = scene.want(want.row, buckets, want.share, suffix)
            parts.append(replace(part, share=want.share * part.available / want.available))
    return [want for want in parts if want.share]


def split_by_bucket(wants: Iterable[Want], scene: Scene) -> list[Want]:
    """Split wants into single buckets, each with its natural part of the share."""
    parts = []
    for want in wants:
        tokens = scene.available.tokens[want.row, want.buckets]
        for bucket in want.buckets[tokens > 0].tolist():
            one = scene.want(want.row, np.array([bucket]), want.share, f" {_range_name(bucket, bucket + 1, scene)}")
            parts.append(replace(one, share=want.share * one.available / want.available))
        if not want.available:
            parts.append(want)
    return parts


def check_names(named: Mapping[str, object], domains: Sequence[str], key: str) -> None:
    """Raise ValueError for a domain that the corpus does not have."""
    for name in named:
        if name not in domains:
            raise ValueError(f"{key}: the corpus has no domain {name!r} for this purpose; it has {', '.join(domains)}")


def length_name(tokens: int) -> str:
    """Return a length for people: 4096 is 4K."""
    return f"{tokens // 1024}K" if tokens and tokens % 1024 == 0 else str(tokens)


def _by_domain(scene: Scene, mixture: MixtureSection) -> Iterator[Want]:
    """Domain by domain: whole, or in its long and short documents where the mode is per_source."""
    lengths, everything = mixture.lengths, np.arange(scene.available.n_buckets)
    by_source = lengths.mode == "per_source"
    long = long_buckets(scene.edges_tokens, lengths.threshold_tokens) if by_source else None
    edge = length_name(lengths.threshold_tokens)
    for row, share in enumerate(_domain_shares(scene, mixture)):
        q = lengths.long_share_of(scene.domains[row])
        if long is None or q is None:
            yield scene.want(row, everything, share)
        else:
            part = Fraction(str(q))
            yield scene.want(row, everything[~long], share * (1 - part), f" < {edge}")
            yield scene.want(row, everything[long], share * part, f" >= {edge}")


def _global(scene: Scene, lengths: LengthMix) -> Iterator[Want]:
    """All long documents at one rate and all short ones at another, whatever their domain."""
    long = long_buckets(scene.edges_tokens, lengths.threshold_tokens)
    part, edge = Fraction(str(lengths.long_share)), length_name(lengths.threshold_tokens)
    everything, tokens = np.arange(scene.available.n_buckets), scene.available.tokens
    halves = ((~long, 1 - part, f" < {edge}"), (long, part, f" >= {edge}"))
    totals = [int(tokens[:, mask].sum()) for mask, _, _ in halves]
    for row, own in enumerate(scene.domain_tokens):
        for (mask, share, suffix), total in zip(halves, totals, strict=True):
            # Where the corpus has no document of a length at all, each domain is asked for its part of them.
            weight = Fraction(int(tokens[row, mask].sum()), total) if total else Fraction(own, sum(scene.domain_tokens))
            yield scene.want(row, everything[mask], share * weight, suffix)


def _by_range(scene: Scene, lengths: LengthMix) -> Iterator[Want]:
    """Every range of the table by its weight; a range holds the buckets up to the next one that is named."""
    tables = lengths.ranges()
    check_names(tables, scene.domains, "lengths.buckets")
    _check_all_named(scene, tables, "lengths.buckets")
    whole = sum(Fraction(str(weight)) for table in tables.values() for weight in table.values())
    for row, domain in enumerate(scene.domains):
        begins = [_bucket_at(begin, domain, scene) for begin in tables.get(domain, {})]
        ends = [*begins[1:], scene.available.n_buckets]
        for begin, end, weight in zip(begins, ends, tables.get(domain, {}).values(), strict=False):
            suffix = f" {_range_name(begin, end, scene)}" if (begin, end) != (0, scene.available.n_buckets) else ""
            yield scene.want(row, np.arange(begin, end), Fraction(str(weight)) / whole, suffix)


def _domain_shares(scene: Scene, mixture: MixtureSection) -> list[Fraction]:
    if mixture.weights is not None:
        check_names(mixture.weights, scene.domains, "weights")
        _check_all_named(scene, mixture.weights, "weights")
        weights = [Fraction(str(mixture.weights.get(domain, 0))) for domain in scene.domains]
    else:
        weights = [_tempered(tokens, mixture.temperature or 1) for tokens in scene.domain_tokens]
    factors = mixture.lengths.upsample or {}
    weights = [
        weight * Fraction(str(factors.get(domain, 1))) for weight, domain in zip(weights, scene.domains, strict=True)
    ]
    return [weight / (sum(weights) or 1) for weight in weights]


def _tempered(tokens: int, temperature: float) -> Fraction:
    """Return tokens^(1/T)."""
    if temperature == 1 or not tokens:
        return Fraction(tokens)
    return Fraction(DIGITS.power(Decimal(tokens), DIGITS.divide(Decimal(1), Decimal(str(temperature)))))


def _check_all_named(scene: Scene, named: Mapping[str, object], key: str) -> None:
    for domain, tokens in zip(scene.domains, scene.domain_tokens, strict=True):
        if domain not in named and tokens:
            raise ValueError(f"{key}: no weight for domain {domain!r}: add it, with 0 to leave it out")


def _bucket_at(begin: int, domain: str, scene: Scene) -> int:
    if begin and begin not in scene.edges_tokens:
        edges = ", ".join(str(edge) for edge in scene.edges_tokens)
        raise ValueError(f"lengths.buckets.{domain}: {begin} is no bucket edge: take 0 or one of {edges}")
    return list(scene.edges_tokens).index(begin) + 1 if begin else 0


def _range_name(begin: int, end: int, scene: Scene) -> str:
    """Return a range of buckets for people: ``< 4K``, ``4K-8K``, ``>= 32K``."""
    edges = scene.edges_tokens
    if end > len(edges):
        return f">= {length_name(edges[begin - 1])}" if begin else "of any length"
    if not begin:
        return f"< {length_name(edges[end - 1])}"
    return f"{length_name(edges[begin - 1])}-{length_name(edges[end - 1])}"
