from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import StageReport, bring_up_to_date
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages import balance
from tests.stages.bucketed import write_bucketed

EDGES = (100, 1000)
LENGTHS = {
    "books": [2500, 1800, 400, 150, *range(20, 60)],
    "chat": [300, 5000, 40, 70, 0],
    "web": [*range(10, 90), *range(100, 300, 10), 0],
}


def recipe(**keys: Any) -> Recipe:
    sources = [
        {"name": name, "kind": "chat" if name == "chat" else "jsonl", "paths": ["x.jsonl"], "domain": name}
        for name in LENGTHS
    ]
    base = {
        "name": "t",
        "sources": sources,
        "tokenizer": {"train": {}},
        "bucket": {"edges_tokens": EDGES},
        "mixture": {"held_out": {"share": 0.1}},
        "sft_mixture": {"held_out": {"share": 0}},
        "pack": {"seq_len": 512, "block_packs": 4, "global_batch_packs": 2},
    }
    return Recipe.model_validate(base | keys)


def run_balance(
    tmp_path: Path, lengths: dict[str, list[int]] = LENGTHS, **keys: Any
) -> tuple[StageReport, pa.Table, list[int]]:
    run = RunFolder(str(tmp_path / "run"))
    write_bucketed(run, lengths, EDGES, sft=("chat",))
    report = bring_up_to_date(balance.STAGE, recipe(**keys), run, SerialBackend())
    folder = run.stage("balance")
    held = read_table(folder.file(balance.HELD_OUT_FILE))["document"].to_pylist()
    return report, read_table(folder.file(balance.SAMPLING_FILE)), held


def account(manifest: Manifest, domain: str) -> dict[str, tuple[int, int]]:
    entry = manifest.ledger.domains[domain]
    columns = {"in": entry.came_in, "kept": entry.kept, **entry.added, **entry.dropped}
    return {name: (count.documents, count.tokens) for name, count in columns.items()}


def test_one_natural_epoch_keeps_all_but_the_held_out(tmp_path: Path) -> None:
    report, table, held = run_balance(tmp_path)
    rows = {(row["domain"], row["bucket"]): row for row in table.to_pylist()}
    assert rows["books", 0]["held_out_documents"] == 4
    assert rows["books", 1]["held_out_documents"] == 0
    assert rows["web", 1] == {
        "purpose": "pretrain", "domain": "web", "bucket": 1, "documents": 20, "tokens": sum(range(100, 300, 10)),
        "held_out_documents": 2, "held_out_tokens": 210, "available_tokens": 3690, "wanted_tokens": 3690,
        "wanted_share": 3690 / sum(row["available_tokens"] for row in rows.values() if row["purpose"] == "pretrain"),
        "planned_tokens": 3690, "rate": 1.0, "stage": 0, "bound": "one_epoch",
    }  # fmt: skip
    # Documents are numbered by domain, then bucket: 40 short books come first, the short web pages after chat.
    assert held[:4] == [0, 1, 2, 3]
    assert len(held) == 4 + 9 + 2
    assert account(report.manifest, "books") == {
        "in": (44, sum(LENGTHS["books"])), "held_out": (4, 20 + 21 + 22 + 23),
        "kept": (40, sum(LENGTHS["books"]) - 86),
    }  # fmt: skip
    assert account(report.manifest, "web")["empty"] == (1, 0)


def test_dialogues_that_fit_no_row_are_dropped_and_documents_are_not(tmp_path: Path) -> None:
    report, table, _ = run_balance(tmp_path)
    assert account(report.manifest, "chat") == {
        "in": (5, 5410), "kept": (3, 410), "overlong": (1, 5000), "empty": (1, 0)
    }  # fmt: skip
    assert "overlong" not in report.manifest.ledger.domains["books"].dropped
    assert set(table["purpose"].to_pylist()) == {"pretrain", "sft"}


@pytest.mark.parametrize(
    ("overlong", "expected"),
    [("truncate", {"truncated": (0, 2500 + 1800 - 2 * 512)}), ("drop", {"overlong": (2, 4300)})],
)
def test_overlong_policies_report_their_cost(tmp_path: Path, overlong: str, expected: dict[str, Any]) -> None:
    packing = {"seq_len": 512, "block_packs": 4, "global_batch_packs": 2, "overlong": overlong}
    report, _, _ = run_balance(tmp_path, pack=packing)
    assert expected.items() <= account(report.manifest, "books").items()


def test_repeats_and_thinning_are_in_the_books(tmp_path: Path) -> None:
    mixture = {"budget_tokens": 20_000, "weights": {"books": 3, "web": 1}, "held_out": {"share": 0}}
    report, table, held = run_balance(tmp_path, mixture=mixture)
    books, web = account(report.manifest, "books"), account(report.manifest, "web")
    assert held == []
    assert books["repeated"][1] == books["kept"][1] - sum(LENGTHS["books"])
    assert web["not_sampled"][1] == sum(LENGTHS["web"]) - web["kept"][1]
    assert abs(books["kept"][1] - 15_000) <= 512 / 2 * 3
    assert abs(web["kept"][1] - 5_000) <= 512 / 2 * 2
    facts = report.manifest.facts["purposes"]["pretrain"]["domains"]
    assert facts["books"]["tokens_by_repeat"][0] == sum(LENGTHS["books"])
    assert sum(facts["books"]["tokens_by_repeat"]) == books["kept"][1]
    planned = np.array(table["planned_tokens"])
    assert planned.sum() == report.manifest.ledger.kept().tokens


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mixture": {"budget_tokens": 10**6}}, r"mixture: the mixture cannot be met:\n  books: 6410 tokens, needed"),
        ({"mixture": {"weights": {"books": 1}}}, "mixture: weights: no weight for domain 'web'"),
        ({"sft_mixture": {"budget_tokens": 10**6}}, "sft_mixture: the mixture cannot be met"),
    ],
)
def test_what_cannot_be_had_is_a_fault_of_the_recipe(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        run_balance(tmp_path, **keys)


def test_dialogues_among_plain_sources_are_for_sft(tmp_path: Path) -> None:
    """The corpus knows by its documents what a domain is for; a recipe may read dialogues through any source."""
    run = RunFolder(str(tmp_path / "run"))
    write_bucketed(run, LENGTHS, EDGES, sft=("chat", "web"))
    bring_up_to_date(balance.STAGE, recipe(), run, SerialBackend())
    rows = read_table(run.stage("balance").file(balance.SAMPLING_FILE)).to_pylist()
    assert {(row["domain"], row["purpose"]) for row in rows} == {("books", "pretrain"), ("chat", "sft"), ("web", "sft")}


def test_a_domain_that_lost_all_its_documents_is_named(tmp_path: Path) -> None:
    lengths = {"chat": [10], "web": [50] * 20}
    with pytest.raises(RecipeError, match="books: 0 tokens"):
        run_balance(tmp_path, lengths, mixture={"weights": {"books": 1, "web": 1}})
    report, _, _ = run_balance(tmp_path, lengths)
    assert report.manifest.ledger.kept().documents == 1 + 20 - 2
