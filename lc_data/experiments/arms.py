"""The recipes behind an experiment: that of the common start, and that of each arm.

An arm may change how documents are mixed and packed and how a model is trained, and nothing that decides which
documents there are or how they are tokenised: those are made once and shared, and losses are then of the same tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from lc_data.experiments.experiment import Arm, Experiment, Size
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import dump_recipe, load_recipe, parse_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.training.load import rope_override

SHARED = frozenset({"sources", "ingest", "filter", "dedupe", "tokenizer", "bucket"})
"""Sections of a recipe that no arm may change."""
_MARGIN = 1.05
"""More is planned than is trained on: rows are not quite full, and steps are whole."""


def base_recipe(size: Size) -> Recipe:
    """Corpus and first model; raises :class:`RecipeError` for a recipe without a new model to train."""
    recipe = load_recipe(size.recipe)
    if recipe.pretrain is None or recipe.pretrain.model.shape is None:
        raise RecipeError(f"{size.recipe}: an experiment trains from nothing: give pretrain.model.shape")
    return recipe


def first_recipe(base: Recipe, seed: int) -> Recipe:
    """The first model's training under one seed."""
    return parse_recipe(dump_recipe(base), [f"seed={seed}"])


def extended_recipe(experiment: Experiment, size: Size, base: Recipe, seed: int, start: Path) -> Recipe:
    """The second training on the way, from the checkpoint ``start``."""
    return _derive(base, size, "extend", [*experiment.extend, f"seed={seed}", *_from(start)])


def arm_recipe(experiment: Experiment, size: Size, base: Recipe, arm: Arm, seed: int, start: Path) -> Recipe:
    """What one arm does under one seed, from the checkpoint ``start``."""
    rope_override(arm.rope)
    origin = [f"sft.init_from={json.dumps(str(start))}"] if arm.train == "sft" else _from(start)
    overrides = [*experiment.overrides, *arm.overrides, f"seed={seed}", *origin]
    recipe = _derive(base, size, f"arms.{arm.name}", overrides)
    if arm.train == "sft" and recipe.sft is None:
        raise RecipeError(f"arms.{arm.name} trains by SFT, and the recipe has no section `sft`")
    return recipe


def _from(start: Path) -> list[str]:
    return [f"pretrain.model.path={json.dumps(str(start))}", "pretrain.model.shape=null"]


def _derive(base: Recipe, size: Size, where: str, overrides: list[str]) -> Recipe:
    try:
        derived = parse_recipe(dump_recipe(base), [_fill(override, size, base) for override in overrides])
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    changed = sorted(key for key in SHARED if getattr(derived, key) != getattr(base, key))
    if changed:
        raise RecipeError(
            f"{where} changes {', '.join(changed)}, which all arms share: an arm may change mixture, sft_mixture, "
            "pack, pretrain, sft and evaluation"
        )
    return derived


def _fill(override: str, size: Size, base: Recipe) -> str:
    values = {
        "short_tokens": base.pack.seq_len,
        "long_tokens": size.long_tokens,
        "threshold_tokens": size.threshold_tokens,
        "arm_tokens": size.arm_tokens,
        "extend_tokens": size.extend_tokens,
        "extend_plan_tokens": round(size.extend_tokens * _MARGIN),
        "batch_tokens": size.batch_tokens,
        "batch_packs": size.batch_tokens // size.long_tokens,
        "learning_rate": size.learning_rate,
        "plan_tokens": round(size.arm_tokens * _MARGIN),
        "half_plan_tokens": round(size.arm_tokens * _MARGIN / 2),
    }
    try:
        return Template(override).substitute({name: str(value) for name, value in values.items()})
    except (KeyError, ValueError) as error:
        raise RecipeError(f"the override {override!r}: {error} is none of {', '.join(values)}") from error
