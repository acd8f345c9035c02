"""A forecast says what the finished run then has, and writes nothing into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.forecast import planning
from lc_data.forecast.forecast import forecast
from lc_data.forecast.page import as_text
from lc_data.forecast.resources import refuse_impossible
from lc_data.recipe.errors import RecipeError
from lc_data.stages import balance, bucket, pack
from tests.stages.test_balance import recipe
from tests.stages.test_pack import packed

LENGTHS = {"books": [*range(900, 3300, 40)], "chat": [*range(40, 400, 6)], "web": [*range(10, 400)]}
KEYS: dict[str, Any] = {
    "mixture": {
        "weights": {"books": 1, "web": 1},
        "stages": [
            {"name": "main", "budget_tokens": 70_000},
            {"name": "late", "budget_tokens": 20_000, "weights": {"books": 3, "web": 1}},
        ],
    }
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made, _ = packed(tmp_path / "run", LENGTHS, **KEYS)
    manifest = Path(made.stage("bucket").manifest_uri)
    content = json.loads(manifest.read_text()) | {"config": bucket.STAGE.config(recipe(**KEYS))}
    manifest.write_text(json.dumps(content))
    for module in (balance, pack):
        bring_up_to_date(module.STAGE, recipe(**KEYS), made, SerialBackend())
    return made


def files(run: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(run.uri).rglob("*") if path.is_file()}


def test_what_is_forecast_is_what_the_stages_then_plan(run: RunFolder) -> None:
    before = files(run)
    found = forecast(recipe(**KEYS), run, tokens_per_second=100.0)
    assert files(run) == before
    plans = run.stage("pack").manifest().facts["plans"]
    for purpose in found.purposes:
        facts = plans[purpose.purpose]
        assert (purpose.packs, purpose.planned_tokens, purpose.fill) == (facts["packs"], facts["tokens"], facts["fill"])
        assert {each.domain: each.planned_tokens for each in purpose.domains} == facts["tokens_by_domain"]
        assert sum(cell.planned_tokens for cell in purpose.cells) == purpose.planned_tokens
        assert sum(each.planned_share for each in purpose.domains) == pytest.approx(1)
    pretrain = found.purposes[0]
    assert found.cost.training_hours == pytest.approx(pretrain.planned_tokens / 100 / 3600)
    text = as_text(found)
    assert max(map(len, text.splitlines())) <= 100
    assert "seen more than once" not in text or any(cell.epochs > 1 for cell in pretrain.cells)


def test_a_thinned_plan_counts_up_to_the_whole_one(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forecast(recipe(**KEYS), run)
    monkeypatch.setattr(planning, "WHOLE_DOCUMENTS", 100)
    thinned = forecast(recipe(**KEYS), run)
    assert thinned.thinned_by > 1
    assert thinned.purposes[0].cells == whole.purposes[0].cells
    assert thinned.purposes[0].packs == pytest.approx(whole.purposes[0].packs, rel=0.2)


def test_what_cannot_be_is_refused_before_any_work(run: RunFolder, tmp_path: Path) -> None:
    before = files(run)
    with pytest.raises(RecipeError, match=r"books.*needed .*: cap 1 epoch allows"):
        forecast(recipe(mixture={"budget_tokens": 300_000, "weights": {"books": 1, "web": 0}, "max_epochs": 1}), run)
    with pytest.raises(RecipeError, match="matches nothing"):
        forecast(recipe(**KEYS), RunFolder(str(tmp_path / "none")))
    with pytest.raises(RecipeError, match="less than one global batch"):
        forecast(recipe(**KEYS, pack={"seq_len": 512, "block_packs": 4096, "global_batch_packs": 4096}), run)
    with pytest.raises(RecipeError, match="matches nothing"):
        forecast(recipe(**KEYS, bucket={"edges_tokens": [7, 4096]}), run)
    assert files(run) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"disk_bytes": 7_000_000_000, "free_disk_bytes": 2_000_000_000}, r"takes 7\.00 GB of disk, 2\.00 GB are free"),
        ({"memory_bytes": 9_000_000_000, "machine_memory_bytes": 8_000_000_000}, r"machine has 8\.0 GB: set engine"),
    ],
)
def test_what_the_machine_lacks_is_refused_with_both_numbers(
    run: RunFolder, change: dict[str, int], message: str
) -> None:
    found = forecast(recipe(**KEYS), run)
    assert refuse_impossible(recipe(**KEYS), found) == found
    with pytest.raises(RecipeError, match=message):
        refuse_impossible(recipe(**KEYS), found.model_copy(update={"cost": found.cost.model_copy(update=change)}))
