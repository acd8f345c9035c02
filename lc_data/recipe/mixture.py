"""What a model should see of each domain and of each length, and how often at most.

Shares are of tokens, never of documents or characters: 1% of the documents of a long corpus may hold half its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.lengths import LengthMix, Weight
from lc_data.recipe.section import Section

DEFAULT_MAX_EPOCHS = 4.0
WHOLE_RUN = "all"
"""The name of the only stage of a mixture that has no ``stages``."""

Epochs = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bound = Annotated[float, Field(allow_inf_nan=False)]


class HeldOut(Section):
    """Documents that training never sees, taken evenly from every domain and length bucket."""

    share: float = Field(default=0.01, ge=0, le=0.5)
    """Share of the documents of each domain x bucket stratum."""
    min_documents_per_stratum: int = Field(default=10, ge=2)
    """Strata with fewer documents give none: one held-out book of two would halve what is trained on."""


class Range(Section):
    """An interval of a document column, both ends included."""

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("give min, max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min}, above max {self.max}: no document has such a value")
        return self


class Preference(Section):
    """Which documents of a stratum are drawn first, so that a small budget takes the best of them."""

    column: str
    order: Literal["high", "low"] = "high"
    """high: largest values first. Documents without a value come last, equal ones in corpus order."""


class MixtureStage(Section):
    """A part of the run with a mixture of its own; what it leaves out is as the mixture says."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    budget_tokens: int = Field(gt=0)
    """Tokens of this stage."""
    weights: dict[str, Weight] | None = None
    """Instead of the mixture's weights or temperature."""
    temperature: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    """Instead of the mixture's weights or temperature; 1 takes domains as they are."""
    lengths: LengthMix | None = None
    """Instead of all that the mixture's lengths say."""


class MixtureSection(Section):
    """The sampling plan of one purpose: its budget, its domains' shares, its lengths, its repeats."""

    budget_tokens: int | None = Field(default=None, gt=0)
    """Tokens to train on; null takes as many as the weights allow before anything is seen twice. With ``stages`` it is
    their sum, and may be left out."""
    epochs: Epochs | None = None
    """Instead of ``budget_tokens``: how often what the corpus has least of, for its share, is seen. Without weights
    everything is: 2 is two epochs. Needs ``max_epochs`` of as much; null is one epoch, or less where that is less."""
    weights: dict[str, Weight] | None = None
    """Share of each domain in tokens, in any unit (30 and 70, or 0.3 and 0.7). Every domain that has documents is
    named; 0 leaves one out. Null takes domains as they are."""
    temperature: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    """Instead of weights: shares proportional to tokens^(1/T) (T5, arXiv:1910.10683, section 3.5.2). 1 takes domains as
    they are, larger values lift the small ones towards equal shares."""
    lengths: LengthMix = LengthMix()
    max_epochs: Epochs | dict[str, Epochs] = DEFAULT_MAX_EPOCHS
    """No document is seen more often than this, over all stages: one number, or a table of domain: number, where a
    domain that is not named has 4. What happens to a mixture that would need more, ``infeasible`` says."""
    infeasible: Literal["error", "closest"] = "error"
    """error: a mixture that the corpus cannot give is refused, with the numbers. closest: the nearest one that it can
    give is planned: the largest deviation of a domain's share is made as small as can be, then the sum of deviations,
    then each next largest; lengths give way before domains do."""
    where: dict[str, Range] = Field(default_factory=dict)
    """Only documents whose column lies in the range are drawn: ``{quality: {min: 0.3}}``. Those without a value are
    not. Held-out documents are chosen before, so that they stay the same whatever is trained on."""
    prefer: Preference | None = None
    """Draw the best documents of each stratum first; null draws at random."""
    held_out: HeldOut = HeldOut()
    stages: tuple[MixtureStage, ...] = ()
    """Mixtures one after the other. Each stage draws from where the one before stopped: nothing is seen a second time
    before everything of its domain and bucket was seen once."""

    @model_validator(mode="after")
    def _stages_have_names_and_a_sum(self) -> MixtureSection:
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"stages: the name {twice[0]!r} is used more than once; give each stage its own")
        total = sum(stage.budget_tokens for stage in self.stages)
        if self.stages and self.budget_tokens not in (None, total):
            raise ValueError(
                f"budget_tokens is {self.budget_tokens}, but the stages' budgets sum to {total}: "
                "leave budget_tokens out, or change one of them"
            )
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> MixtureSection:
        if self.epochs is not None and (self.budget_tokens is not None or self.stages):
            other = "budget_tokens" if self.budget_tokens is not None else "stages"
            raise ValueError(f"epochs and {other} both say how many tokens there are: keep one")
        return self

    @model_validator(mode="after")
    def _one_way_to_weigh(self) -> MixtureSection:
        for place, part in self._parts():
            weighs = part.weights is not None, part.temperature is not None
            if all(weighs):
                raise ValueError(f"{place}weights and temperature both say what share a domain gets: keep one")
            if part.weights is not None and sum(part.weights.values()) <= 0:
                raise ValueError(
                    f"{place}weights sum to 0: give at least one domain a positive weight, or leave weights out"
                )
            lengths = part.lengths if part.lengths is not None else self.lengths
            inherited = any(weighs) or self.weights is not None or self.temperature is not None
            if lengths.mode in ("global", "buckets") and inherited and not (self.stages and part is self):
                why = (
                    "draws all long documents at one rate, whatever their domain"
                    if lengths.mode == "global"
                    else "weighs domains and lengths together"
                )
                raise ValueError(
                    f"{place}lengths: mode {lengths.mode} {why}: leave weights and temperature out, "
                    "or take mode per_source"
                )
        return self

    @model_validator(mode="after")
    def _closest_to_a_budget(self) -> MixtureSection:
        if self.infeasible == "closest" and self.budget_tokens is None and not self.stages:
            raise ValueError("infeasible: closest needs budget_tokens: without one the budget gives way, not shares")
        return self

    def _parts(self) -> list[tuple[str, MixtureSection | MixtureStage]]:
        """The mixture and its stages, each with its place for messages."""
        return [("", self), *((f"stages.{stage.name}.", stage) for stage in self.stages)]

    @property
    def stage_names(self) -> list[str]:
        """Names of the stages, in their order."""
        return [name for name, _ in self.resolved_stages()]

    @property
    def columns(self) -> list[str]:
        """The document columns that ``where`` and ``prefer`` read, sorted."""
        return sorted({*self.where, *([self.prefer.column] if self.prefer else [])})

    def max_epochs_of(self, domain: str) -> float:
        """Return how often a document of the domain may be seen."""
        if isinstance(self.max_epochs, dict):
            return self.max_epochs.get(domain, DEFAULT_MAX_EPOCHS)
        return self.max_epochs

    def named_domains(self) -> Iterator[tuple[str, str]]:
        """Yield every domain that the mixture or one of its stages names, with the key that names it."""
        for place, part in self._parts():
            lengths = part.lengths or LengthMix()
            tables = {
                "weights": part.weights,
                "lengths.long_share": lengths.long_share,
                "lengths.upsample": lengths.upsample,
                "lengths.buckets": lengths.buckets,
            }
            for key, table in tables.items():
                yield from ((place + key, domain) for domain in (table if isinstance(table, dict) else {}))
        if isinstance(self.max_epochs, dict):
            yield from (("max_epochs", domain) for domain in self.max_epochs)

    def named_lengths(self) -> Iterator[tuple[str, int]]:
        """Yield every length that must be a bucket edge, with the key that names it."""
        for place, part in self._parts():
            lengths = part.lengths or LengthMix()
            if lengths.splits_at_threshold:
                yield f"{place}lengths.threshold_tokens", lengths.threshold_tokens
            for domain, table in lengths.ranges().items():
                yield from ((f"{place}lengths.buckets.{domain}", begin) for begin in table if begin)

    def resolved_stages(self) -> list[tuple[str, MixtureSection]]:
        """Return each stage's name and its whole mixture, without stages; a mixture that has none is stage ``all``."""
        if not self.stages:
            return [(WHOLE_RUN, self)]
        resolved = []
        for stage in self.stages:
            update = {"budget_tokens": stage.budget_tokens, "stages": ()}
            if stage.weights is not None or stage.temperature is not None:
                update |= {"weights": stage.weights, "temperature": stage.temperature}
            if stage.lengths is not None:
                update["lengths"] = stage.lengths
            resolved.append((stage.name, self.model_copy(update=update)))
        return resolved
