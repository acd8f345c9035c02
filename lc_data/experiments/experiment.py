"""An experiment as a file: what all arms share, what each does otherwise, and what the paper says comes of it.

The claim is written down before anything is trained, as differences between arms with their bounds: so a verdict is
arithmetic over scores, and a result that contradicts its paper cannot be read as agreement afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from lc_data.recipe.errors import RecipeError, explain, nearest
from lc_data.recipe.section import Section

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Limit = Annotated[float, Field(allow_inf_nan=False)]


class Size(Section):
    """How much is trained, for one kind of machine. The names below are ``${names}`` in overrides."""

    recipe: str
    """The recipe of corpus and first model, by file or name in ``pipelines/``; its ``pack.seq_len`` is
    ``${short_tokens}``."""
    seeds: tuple[int, ...] = Field(min_length=2)
    """Each arm is trained once for each: first weights and order of rows follow them, corpus and held-out documents do
    not. One seed has no spread, so there are two at least."""
    arm_tokens: int = Field(gt=0)
    """Tokens that every arm trains on, exactly: a multiple of its batch."""
    long_tokens: int = Field(gt=0)
    """The length that arms train at."""
    threshold_tokens: int = Field(gt=0)
    """From where a document counts as long."""
    batch_tokens: int = Field(gt=0)
    """Of an arm's optimizer step."""
    learning_rate: float = Field(gt=0)
    """Peak of an arm's training."""
    extend_tokens: int = Field(default=0, ge=0)
    """For a second training on the way."""
    needles: int = Field(default=10, ge=1)
    """Questions at each of five depths: with 10 a share is known to 7 points, with 100 to 2 (one standard error)."""

    @model_validator(mode="after")
    def _seeds_differ(self) -> Size:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)}: the same seed twice would count one training as two")
        return self


class Arm(Section):
    """One way of going on from the common start."""

    name: Name
    what: str
    """What it does, in a line."""
    overrides: tuple[str, ...] = ()
    """After those of the experiment, as ``-o`` has them."""
    train: Literal["pretrain", "sft", "none"] = "pretrain"
    """``none``: the start itself is measured."""
    rope: str = "none"
    """How rotary angles are scaled when it is measured: none, dynamic:8, ..."""


class Comparison(Section):
    """A bound on one arm's measure, or on its difference to another arm's."""

    measure: str
    """A name among the scores; ``loss.*`` stands for every domain."""
    arm: str
    than: str | None = None
    """The arm that is subtracted; null compares the measure itself."""
    relative: bool = False
    """Whether the difference is divided by the measure of ``than``."""
    at_least: Limit | None = None
    at_most: Limit | None = None
    domains: Literal["every", "some"] = "every"
    """Of a measure with ``*``: whether the bound is said of every domain, or of one at least."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Comparison:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most, or both")
        if self.relative and self.than is None:
            raise ValueError("relative divides by the measure of `than`, which is not given")
        return self


class Claim(Section):
    """What a paper says, as something that scores can contradict."""

    text: str
    source: str
    """Where it is published."""
    holds: tuple[Comparison, ...] = Field(min_length=1)
    """The claim is that all of these hold."""
    given: tuple[Comparison, ...] = ()
    """What must be seen before the claim can be judged at all, such as that the arm has learned anything: two models
    that both know nothing do not differ, which supports no claim of equality."""


class Experiment(Section):
    """One question, its arms, and the claims about them."""

    name: Name
    title: str
    question: str
    sizes: dict[str, Size] = Field(min_length=1)
    extend: tuple[str, ...] = ()
    """Overrides of a second training on the way from the first model to the arms, common to them; empty for none."""
    overrides: tuple[str, ...] = ()
    """What all arms do otherwise than the recipe."""
    arms: tuple[Arm, ...] = Field(min_length=2)
    measures: tuple[str, ...] = Field(min_length=1)
    """Scores that the page's table shows, in this order; all are in the JSON."""
    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _claims_name_arms(self) -> Experiment:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms {names}: each needs a name of its own")
        for claim in self.claims:
            for one in (*claim.holds, *claim.given):
                for arm in (one.arm, one.than):
                    if arm is not None and arm not in names:
                        raise ValueError(f"claims name the arm {arm!r}{nearest(arm, names)}")
        return self

    def size(self, name: str) -> Size:
        """The size of a name; raises :class:`RecipeError` for one that it does not have."""
        if name not in self.sizes:
            raise RecipeError(f"{self.name} has no size {name!r}{nearest(name, self.sizes)}")
        return self.sizes[name]


def list_experiments() -> dict[str, Path]:
    """Every experiment of ``pipelines/experiments``, by name."""
    folders = [Path(__file__).resolve().parents[2] / "pipelines", Path("pipelines")]
    return {file.stem: file for folder in folders for file in sorted((folder / "experiments").glob("*.yaml"))}


def load_experiment(name: str) -> Experiment:
    """An experiment by its name in ``pipelines/experiments``, or by its file.

    Raises :class:`RecipeError` naming every fault.
    """
    known = list_experiments()
    path = Path(name) if Path(name).is_file() else known.get(name)
    if path is None:
        raise RecipeError(f"there is no experiment {name!r}{nearest(name, [*known, 'all'])}")
    try:
        return Experiment.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"{path}: {explain(error, Experiment)}") from None
