"""A plan from raw text: what the finished run then has lies in its intervals, and nothing is left of the plan."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.forecast import population, reading, sampled, trial
from lc_data.forecast.forecast import forecast, why_no_index
from lc_data.forecast.page import as_text
from lc_data.forecast.reading import choose_reading
from lc_data.forecast.result import Forecast
from lc_data.forecast.scratch import PREFIX
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.stages.chain import run_chain
from tests.lengths.texts import mixed_text, small_tokenizer
from tests.small_corpus import prose, small_recipe, write_small_corpus

EDGES = (64, 256, 1024)
RECIPE = """
name: planned
seed: 8
sources:
  - {{name: web, kind: jsonl, domain: web, paths: ["{folder}/web.jsonl"], fields: {{metadata: [score]}}}}
  - {{name: books, kind: jsonl, domain: books, paths: ["{folder}/books.jsonl"], fields: {{metadata: [score]}}}}
  - {{name: chats, kind: chat, domain: chats, paths: ["{folder}/chats.jsonl"]}}
filter: {{rules: [{{rule: length, min_bytes: 120}}, {{rule: gopher_quality, domains: [web], min_words: 30}}]}}
tokenizer: {{path: {folder}/tokenizer.json}}
bucket: {{edges_tokens: [64, 256, 1024], columns: [score]}}
mixture: {{weights: {{web: 1, books: 1}}, where: {{score: {{min: 1}}}}, held_out: {{share: 0.02}}}}
pack: {{seq_len: 512, block_packs: 64, global_batch_packs: 4}}
engine: {{backend: serial}}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 web pages, a tenth of them copies, 60 books and 200 dialogues."""
    folder, rng = tmp_path_factory.mktemp("planned"), random.Random(4)
    web = [{"id": f"w{i}", "text": prose(rng, rng.choice([8, 40, 120, 300])), "score": i % 7} for i in range(800)]
    web += [rng.choice(web) | {"id": f"copy{i}"} for i in range(100)]
    rng.shuffle(web)
    books = [{"id": f"b{i}", "text": mixed_text(i, rng.choice([300, 700, 1500])), "score": 1} for i in range(60)]
    chats = [
        {"messages": [{"role": "user", "content": prose(rng, 9)}, {"role": "assistant", "content": prose(rng, length)}]}
        for length in (rng.choice([10, 40, 150]) for _ in range(200))
    ]
    for name, rows in (("web", web), ("books", books), ("chats", chats)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "tokenizer.json").write_text(small_tokenizer())
    return folder


@pytest.fixture(autouse=True)
def small_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Sample a corpus that would be run through whole; scratch folders where they can be counted."""
    monkeypatch.setattr(trial, "SMALL_BYTES", 0)
    monkeypatch.setattr(trial, "LEAST_SAMPLE_BYTES", 200_000)
    monkeypatch.setattr(population.choose_sample, "__defaults__", (0,))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def recipe(folder: Path, *overrides: str) -> Recipe:
    return parse_recipe(RECIPE.format(folder=folder), overrides)


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(str(tmp_path_factory.mktemp("finished") / "run"))
    list(run_chain(recipe(corpus), run, "pack"))
    return run


def outside(found: Forecast, run: RunFolder) -> list[str]:
    """The cells of a finished run that are not in the plan's intervals."""
    cells = {(cell.domain, cell.from_tokens): cell for purpose in found.purposes for cell in purpose.cells}
    wrong = []
    for domain, counts in run.stage("bucket").manifest().facts["histogram"].items():
        for begin, tokens in zip((0, *EDGES), counts["tokens"], strict=True):
            cell = cells.get((domain, begin))
            low, high = (cell.tokens_low, cell.tokens_high) if cell else (0, 0)
            if not low <= tokens <= high:
                wrong.append(f"{domain} from {begin}: {tokens} outside {low} to {high}")
    return wrong


def left_behind(folder: Path) -> list[Path]:
    return list(folder.glob(f"{PREFIX}*"))


def test_the_finished_run_is_inside_the_intervals(corpus: Path, finished: RunFolder, small_sample: Path) -> None:
    run = RunFolder(str(small_sample / "never"))
    found = forecast(recipe(corpus), run)
    assert not outside(found, finished)
    assert (found.origin, found.exact) == ("sample", False)
    assert found.tokens_low < found.tokens < found.tokens_high
    manifest = finished.stage("bucket").manifest()
    assert found.documents == pytest.approx(manifest.ledger.kept().documents, rel=0.1)
    assert found.sample is not None
    assert found.sample.looked_at_documents < manifest.ledger.kept().documents
    facts = finished.stage("pack").manifest().facts["plans"]
    for purpose in found.purposes:
        assert purpose.packs_low <= purpose.packs <= purpose.packs_high
        assert purpose.packs == pytest.approx(facts[purpose.purpose]["packs"], rel=0.15)
    assert [stage.stage for stage in found.cost.stages] == ["ingest", "filter", "dedupe", "bucket", "balance", "pack"]
    assert not Path(run.uri).exists()
    assert not left_behind(small_sample)
    text = as_text(found)
    assert "estimated from a sample" in text
    assert max(map(len, text.splitlines())) <= 100
    assert forecast(recipe(corpus), run).purposes == found.purposes


def test_a_run_with_its_index_is_planned_exactly(corpus: Path, finished: RunFolder) -> None:
    found = forecast(recipe(corpus), finished)
    assert (found.origin, found.exact, found.sample) == ("index", True, None)
    assert found.tokens == found.tokens_low == found.tokens_high == finished.stage("bucket").manifest().facts["tokens"]
    assert not outside(found, finished)
    assert [stage.stage for stage in found.cost.stages] == ["balance", "pack"]


@pytest.mark.parametrize(
    "override",
    [
        "sources.0.max_bytes=1000",
        "bucket.edges_tokens=[64, 256, 1024, 4096]",
        "dedupe.near=null",
        "filter.rules=[]",
        "seed=9",
    ],
)
def test_an_index_of_another_recipe_is_not_planned_from(corpus: Path, finished: RunFolder, override: str) -> None:
    assert why_no_index(recipe(corpus), finished) is None
    assert "was made" in (why_no_index(recipe(corpus, override), finished) or "")


def test_a_small_corpus_is_run_through_and_the_plan_is_exact(
    monkeypatch: pytest.MonkeyPatch, small_sample: Path
) -> None:
    monkeypatch.setattr(trial, "SMALL_BYTES", 64 << 20)
    write_small_corpus(small_sample / "corpus")
    wanted = small_recipe(small_sample / "corpus")
    found = forecast(wanted, RunFolder(str(small_sample / "never")))
    run = RunFolder(str(small_sample / "run"))
    list(run_chain(wanted, run, "pack"))
    assert (found.origin, found.exact) == ("corpus", True)
    assert found.tokens == run.stage("bucket").manifest().facts["tokens"]
    facts = run.stage("pack").manifest().facts["plans"]
    assert {each.purpose: each.packs for each in found.purposes} == {
        name: facts[name]["packs"] for name in ("pretrain", "sft")
    }
    assert not left_behind(small_sample)


def test_of_a_large_corpus_pieces_of_every_source_are_read(
    corpus: Path, finished: RunFolder, small_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WHOLE_BYTES", 400_000)
    monkeypatch.setattr(reading, "_LEAST_PIECE", 10_000)
    chosen = choose_reading(recipe(corpus))
    assert not chosen.is_whole
    assert 300_000 < chosen.read_bytes < 0.6 * chosen.total_bytes
    assert {plan.source.name for plan in chosen.plans} == {"web", "books", "chats"}
    assert chosen.factors["web"] > 1
    found = forecast(recipe(corpus), RunFolder(str(small_sample / "never")))
    assert found.sample is not None
    assert found.sample.read_bytes < found.sample.total_bytes
    assert any("cannot be seen" in warning for warning in found.warnings)
    tokens = finished.stage("bucket").manifest().facts["tokens"]
    assert found.tokens == pytest.approx(tokens, rel=0.35)
    assert len(outside(found, finished)) <= 1
    assert not left_behind(small_sample)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mixture={budget_tokens: 9000000, weights: {web: 1, books: 1}, max_epochs: 2}", r"books.*needed .*: cap 2"),
        ("pack={seq_len: 512, block_packs: 8192, global_batch_packs: 8192}", "less than one global batch"),
        ("tokenizer.path=nowhere.json", "does not exist"),
    ],
)
def test_what_cannot_be_is_refused_with_numbers_and_leaves_nothing(
    corpus: Path, small_sample: Path, override: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        forecast(recipe(corpus, override), RunFolder(str(small_sample / "never")))
    assert not list(small_sample.iterdir())


def test_a_very_large_corpus_is_planned_over_a_part_and_counted_up(
    corpus: Path, finished: RunFolder, small_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled, "MOST_DOCUMENTS", 300)
    found = forecast(recipe(corpus), RunFolder(str(small_sample / "never")))
    assert found.thinned_by == 3
    assert not outside(found, finished)
    facts = finished.stage("pack").manifest().facts["plans"]
    for purpose in found.purposes:
        assert purpose.packs == pytest.approx(facts[purpose.purpose]["packs"], rel=0.25)
        assert sum(cell.planned_tokens for cell in purpose.cells) == purpose.planned_tokens
