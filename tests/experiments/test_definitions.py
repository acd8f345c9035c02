"""The shipped experiments: every arm is a valid recipe at every size, and faults are said before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lc_data.experiments.arms import SHARED, arm_recipe
from lc_data.experiments.experiment import Experiment, list_experiments, load_experiment
from lc_data.experiments.run import check_experiment
from lc_data.recipe.errors import RecipeError

NAMES = ["boundaries", "length_upsampling", "length_warmup", "rope_base", "sft_long_share"]


def test_the_five_are_there() -> None:
    assert sorted(list_experiments()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_arms_resolve_at_every_size_and_share_their_documents(name: str, tmp_path: Path) -> None:
    experiment = load_experiment(name)
    assert experiment.name == name
    assert {"smoke", "gpu"} <= set(experiment.sizes)
    for size_name, size in experiment.sizes.items():
        base = check_experiment(experiment, size_name)
        budgets = set()
        for arm in experiment.arms:
            recipe = arm_recipe(experiment, size, base, arm, 3, tmp_path)
            assert all(getattr(recipe, key) == getattr(base, key) for key in SHARED)
            assert recipe.seed == 3
            assert recipe.pack.seq_len == size.long_tokens > base.pack.seq_len
            section = recipe.sft if arm.train == "sft" else recipe.pretrain
            if arm.train != "none" and section is not None:
                budgets.add((section.total_tokens, section.batch_tokens))
                assert recipe.pack.global_batch_packs * recipe.pack.seq_len == section.batch_tokens
        assert budgets == {(size.arm_tokens, size.batch_tokens)}
        assert size.arm_tokens % size.batch_tokens == 0


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_published_somewhere_and_can_fail(name: str) -> None:
    for claim in load_experiment(name).claims:
        assert claim.source
        assert all(one.at_least is not None or one.at_most is not None for one in claim.holds)


def changed(**keys: object) -> Experiment:
    content = yaml.safe_load(list_experiments()["boundaries"].read_text()) | keys
    return Experiment.model_validate(content)


def test_an_arm_that_changes_the_documents_is_refused() -> None:
    arms = [{"name": "start", "what": "s"}, {"name": "masked", "what": "m", "overrides": ["bucket.shard_tokens=99999"]},
            {"name": "open", "what": "o"}]  # fmt: skip
    with pytest.raises(RecipeError, match=r"arms.masked changes bucket, which all arms share"):
        check_experiment(changed(arms=arms), "smoke")


def test_wrong_names_are_said_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="no experiment 'boundary'; did you mean 'boundaries'"):
        load_experiment("boundary")
    with pytest.raises(RecipeError, match="no size 'smok'; did you mean 'smoke'"):
        check_experiment(load_experiment("boundaries"), "smok")
    with pytest.raises(ValueError, match="claims name the arm 'open'; known are a, b"):
        changed(arms=[{"name": "a", "what": "a"}, {"name": "b", "what": "b"}])
    with pytest.raises(RecipeError, match=r"arms.start: the override 'pack.seq_len=.*nothing.*is none of"):
        check_experiment(changed(overrides=["pack.seq_len=${nothing}"]), "smoke")
