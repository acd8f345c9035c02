"""Balance with stages, with columns and with mixtures that must give way: tables, facts and books."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import StageReport, bring_up_to_date
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages import balance, pack
from tests.stages.bucketed import write_bucketed

EDGES = (100, 1000)
GENERATOR = np.random.default_rng(3)
LENGTHS = {
    name: np.clip(GENERATOR.lognormal(centre, 1.2, 400), 1, 5000).astype(int).tolist()
    for name, centre in (("books", 6.0), ("web", 4.5))
}
TOTAL = {name: sum(own) for name, own in LENGTHS.items()}
ODD: dict[str, Callable[[np.ndarray], np.ndarray]] = {"odd": lambda length: np.where(length % 5, length % 2, np.nan)}


def recipe(mixture: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({
        "name": "t",
        "sources": [{"name": name, "kind": "jsonl", "paths": ["x.jsonl"], "domain": name} for name in LENGTHS],
        "tokenizer": {"train": {}},
        "bucket": {"edges_tokens": EDGES, "columns": list(ODD)},
        "mixture": {"held_out": {"share": 0.05}} | mixture,
        "pack": {"seq_len": 512, "block_packs": 4, "global_batch_packs": 2},
    })  # fmt: skip


def run_balance(folder: Path, mixture: dict[str, Any]) -> tuple[StageReport, pa.Table, list[int]]:
    run = RunFolder(str(folder))
    write_bucketed(run, LENGTHS, EDGES, columns=ODD)
    report = bring_up_to_date(balance.STAGE, recipe(mixture), run, SerialBackend())
    table = read_table(run.stage("balance").file(balance.SAMPLING_FILE))
    held = read_table(run.stage("balance").file(balance.HELD_OUT_FILE))["document"].to_pylist()
    return report, table, held


STAGES = [
    {"name": "stable", "budget_tokens": 100_000, "weights": {"books": 1, "web": 1}},
    {"name": "decay", "budget_tokens": 60_000,
     "lengths": {"mode": "per_source", "long_share": 0.4, "threshold_tokens": 1000}},
]  # fmt: skip


def test_stages_follow_each_other_in_every_stream(tmp_path: Path) -> None:
    mixture: dict[str, Any] = {"stages": STAGES, "weights": {"books": 3, "web": 1}}
    report, table, _ = run_balance(tmp_path / "staged", mixture)
    facts = report.manifest.facts["purposes"]["pretrain"]
    stable, decay = facts["stages"]
    assert (stable["name"], stable["from_token"], stable["from_step"]) == ("stable", 0, 0)
    assert decay["from_token"] == stable["planned_tokens"] == pytest.approx(100_000, abs=6 * 256)
    assert decay["from_step"] == round(decay["from_token"] / 1024)
    assert stable["domains"]["books"]["planned_share"] == pytest.approx(0.5, abs=0.01)
    assert decay["domains"]["books"]["planned_share"] == pytest.approx(0.75, abs=0.01)
    assert decay["domains"]["books"]["asked_share"] == pytest.approx(0.75)
    assert decay["long"]["after"] == pytest.approx(0.4, abs=0.02)
    assert decay["long"]["threshold_tokens"] == 1000
    assert stable["long"] is None
    rows = table.to_pylist()
    assert sorted({row["stage"] for row in rows}) == [0, 1]
    assert sum(row["planned_tokens"] for row in rows) == report.manifest.ledger.kept().tokens == facts["planned_tokens"]
    # What both stages draw of a stratum together is what one stage of that many tokens would draw.
    for domain in LENGTHS:
        for bucket in range(3):
            mine = [row for row in rows if (row["domain"], row["bucket"]) == (domain, bucket)]
            assert len(mine) == 2
            wanted, drawn = (sum(row[key] for row in mine) for key in ("wanted_tokens", "planned_tokens"))
            assert abs(wanted - drawn) <= 256


def test_pack_draws_stages_as_they_were_planned(tmp_path: Path) -> None:
    mixture = {"stages": STAGES, "weights": {"books": 3, "web": 1}, "where": {"odd": {"min": 0}}}
    _, table, _ = run_balance(tmp_path, mixture)
    report = bring_up_to_date(pack.STAGE, recipe(mixture), RunFolder(str(tmp_path)), SerialBackend())
    plan = report.manifest.facts["plans"]["pretrain"]
    for number, stage in enumerate(plan["stages"]):
        planned = sum(row["planned_tokens"] for row in table.to_pylist() if row["stage"] == number)
        assert stage["name"] == STAGES[number]["name"]
        # What does not fill a batch of two rows is carried into the next stage, by a stretch and by the one before it.
        assert stage["tokens"] == pytest.approx(planned, abs=2 * 2 * 512)
    assert plan["tokens"] == sum(table["planned_tokens"].to_pylist())


def test_where_restricts_what_is_drawn_and_leaves_held_out_documents_alone(tmp_path: Path) -> None:
    report, table, held = run_balance(tmp_path / "some", {"where": {"odd": {"min": 1}}})
    _, _, as_ever = run_balance(tmp_path / "all", {})
    assert held == as_ever
    lengths = sorted_lengths()
    marked = np.isin(np.arange(len(lengths)), held)
    eligible = ~marked & (lengths % 5 > 0) & (lengths % 2 == 1)
    account = report.manifest.ledger.domains
    assert sum(own.dropped["not_eligible"].documents for own in account.values()) == int((~eligible & ~marked).sum())
    assert report.manifest.ledger.kept().documents == int(eligible.sum())
    assert sum(table["available_tokens"].to_pylist()) == int(lengths[eligible].sum())


def sorted_lengths() -> np.ndarray:
    """Lengths by document number: by domain, then by bucket, in the order given."""
    parts = []
    for domain in sorted(LENGTHS):
        own = np.array(LENGTHS[domain])
        parts.append(own[np.argsort(np.searchsorted(EDGES, own, side="right"), kind="stable")])
    return np.concatenate(parts)


def test_preferred_documents_are_drawn_before_the_others(tmp_path: Path) -> None:
    mixture = {"prefer": {"column": "odd"}, "budget_tokens": sum(TOTAL.values()) // 10, "held_out": {"share": 0}}
    run_balance(tmp_path, mixture)
    run = RunFolder(str(tmp_path))
    report = bring_up_to_date(pack.STAGE, recipe(mixture), run, SerialBackend())
    blocks = [block["file"] for block in report.manifest.facts["plans"]["pretrain"]["blocks"]]
    drawn = np.unique(np.concatenate([read_table(run.stage("pack").file(file))["document"] for file in blocks]))
    assert (sorted_lengths()[drawn] % 2 == 1).all()


def test_what_gave_way_stands_in_the_facts(tmp_path: Path) -> None:
    mixture: dict[str, Any] = {
        "budget_tokens": 200_000, "weights": {"books": 1, "web": 4}, "max_epochs": 1, "infeasible": "closest",
        "held_out": {"share": 0},
    }  # fmt: skip
    report, table, _ = run_balance(tmp_path, mixture)
    (stage,) = report.manifest.facts["purposes"]["pretrain"]["stages"]
    web = stage["domains"]["web"]
    assert stage["name"] == "all"
    assert web["asked_share"] == pytest.approx(0.8)
    assert web["wanted_share"] == pytest.approx(TOTAL["web"] / 200_000, abs=1e-6)
    assert web["planned_share"] == pytest.approx(web["wanted_share"], abs=0.005)
    assert (web["epochs"], web["bound"]) == (1.0, ["max_epochs"])
    assert {row["bound"] for row in table.to_pylist() if row["domain"] == "web"} == {"max_epochs"}
    with pytest.raises(RecipeError, match="mixture: the mixture cannot be met:\n  web: "):
        run_balance(tmp_path / "error", mixture | {"infeasible": "error"})


@pytest.mark.parametrize("q", [0.5, 0.7, 0.9])
def test_realised_shares_in_whole_pieces(tmp_path: Path, q: float) -> None:
    """Pieces of at most 512 tokens: the long share is within a point, each source within 0.1 of its share."""
    lengths = {"mode": "per_source", "threshold_tokens": 1000, "long_share": q}
    report, _, _ = run_balance(tmp_path, {"lengths": lengths, "budget_tokens": 1_000_000, "max_epochs": 99})
    (stage,) = report.manifest.facts["purposes"]["pretrain"]["stages"]
    assert stage["long"]["after"] == pytest.approx(q, abs=0.01)
    for domain in stage["domains"].values():
        assert domain["planned_share"] == pytest.approx(domain["asked_share"], abs=0.001)
