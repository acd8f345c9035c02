"""Several lengths in turn: what each rung changes, and what a checkpoint must show before the next one begins."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from lc_data.recipe.evaluation import SuitesSection
from lc_data.recipe.section import Section

Limit = Annotated[float, Field(allow_inf_nan=False)]


class Requirement(Section):
    """Where a measure must lie, ends included."""

    at_least: Limit | None = None
    at_most: Limit | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Requirement:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most, or both")
        return self

    def fault(self, value: float) -> str | None:
        """What is wrong with a value; None where nothing is."""
        if self.at_least is not None and not value >= self.at_least:
            return f"{value:.4g}, at least {self.at_least:g} is required"
        if self.at_most is not None and not value <= self.at_most:
            return f"{value:.4g}, at most {self.at_most:g} is allowed"
        return None


class Rung(Section):
    """One length."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    overrides: tuple[str, ...]
    """What is other than in the recipe, as ``-o`` has it: ``pack.seq_len=65536``, ``pretrain.model.rope_base=5e6``."""
    require: dict[str, Requirement] = Field(min_length=1)
    """Measures that decide on promotion. ``short_loss``: nats per token at the first ``short_tokens`` positions of
    held-out documents; ``short_loss_rise``: that minus the same of the checkpoint that the rung began with;
    ``long_gain``: nats between the beginning and the end of long held-out documents; ``needle``, or any other of
    ``suites``: the mean over its tasks, in percent; ``needle.TASK``: one task."""


class LadderSection(Section):
    """Lengths in turn, each from the checkpoint of the one before (Llama 3: six of them from 8K to 128K)."""

    rungs: tuple[Rung, ...] = Field(min_length=1)
    suites: SuitesSection | None = None
    """Suites of tasks that every rung's checkpoint is put to."""
    short_tokens: int = Field(default=4096, gt=0)
    """Where the short panel ends: a bound of the position buckets, see ``evaluation.first_bucket_tokens``."""

    @model_validator(mode="after")
    def _measures_exist(self) -> LadderSection:
        names = [rung.name for rung in self.rungs]
        if len(set(names)) < len(names):
            raise ValueError(f"rungs {names}: each needs a name of its own")
        known = {"short_loss", "short_loss_rise", "long_gain", *(self.suites.names if self.suites else ())}
        for rung in self.rungs:
            for measure in rung.require:
                if measure.split(".")[0] not in known:
                    raise ValueError(f"rungs.{rung.name}.require.{measure} is not measured: {', '.join(sorted(known))}")
        return self
