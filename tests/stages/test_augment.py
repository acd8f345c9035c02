from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lc_data.augment.parts import SOURCE
from lc_data.corpus.derived import PARTS_SCHEMA, PartsTable, find_derived, parts_file
from lc_data.corpus.ledger import Count
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.shard import read_table, write_table
from lc_data.corpus.storage import write_atomic
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.corpus.trace import trace_document, trace_pack
from lc_data.corpus.verify import verify_run
from lc_data.corpus.verify_derived import verify_derived
from lc_data.corpus.verify_plan import verify_plans
from lc_data.engine.backend import SerialBackend
from lc_data.engine.ray_backend import open_ray
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.engine import EngineSection
from lc_data.recipe.errors import RecipeError
from lc_data.stages import augment, balance, pack
from lc_data.stages.augment.knots import find_knots
from lc_data.stages.chain import CHAIN, chain_of
from lc_data.streaming.reader import PackReader
from tests.stages.augmented import BOTH, INTERLEAVE, NAMES, TRAIN, UNTIE, augmented, publish_bucket
from tests.stages.test_balance import recipe
from tests.stages.test_pack import blocks_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return augmented(tmp_path_factory.mktemp("augment") / "run")


def test_every_token_that_was_drawn_is_in_the_plan_once_whatever_became_of_its_document(made):
    run, manifest, packed = made
    corpus = TokenizedCorpus.open(run)
    assert manifest.facts["documents"] == corpus.document_count - corpus.bucketed_count > 10
    held = np.zeros(corpus.bucketed_count, np.int64)
    tables = {entry.facts["first_document"]: PartsTable(run.stage("augment"), entry.file) for entry in manifest.shards}
    for purpose in ("pretrain", "held_out", "sft"):
        for block in blocks_of(run, packed, purpose):
            base = block.document < corpus.bucketed_count
            np.add.at(held, block.document[base], block.length[base])
            for document, start, length in zip(
                block.document[~base].tolist(), block.start[~base], block.length[~base], strict=True
            ):
                assert (start, length) == (0, corpus.length[document])
                first = max(number for number in tables if number <= document)
                parts = tables[first].of(document - first)
                parts = parts.take(parts.role == SOURCE)
                np.add.at(held, parts.source, parts.length)
    expected = corpus.length[: corpus.bucketed_count].astype(np.int64)
    expected[expected == 5000] = 0  # a dialogue longer than a row
    assert held.tolist() == expected.tolist()
    assert not list(verify_derived(run))
    assert not list(verify_plans(run))


def files_of(run, stage):
    folder = Path(run.stage(stage).uri)
    names = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != "timing.json" and "lineage" not in path.parts
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}


def test_rows_hold_derived_documents_whole_as_one_span_with_loss_where_it_counts(made):
    run, _, packed = made
    reader = PackReader.open(run, "pretrain")
    corpus, seen = reader.corpus, 0
    for number in range(packed.facts["plans"]["pretrain"]["packs"]):
        row, pieces = reader.read(number), reader.plan.pieces(number)
        assert len(row.input_ids) == 512
        begin = 0
        for piece, (document, length) in enumerate(zip(pieces.document.tolist(), pieces.length.tolist(), strict=True)):
            mine = slice(begin, begin + length)
            labels = row.labels[mine]
            assert row.cu_seqlens[piece] == begin
            assert row.cu_seqlens[piece + 1] == begin + length
            if document >= corpus.bucketed_count:
                seen += 1
                assert row.input_ids[mine].tolist() == corpus.tokens(document).tolist()
                assert row.position_ids[mine].tolist() == list(range(length))
                spans, counts = corpus.target_spans(document), np.ones(length, bool)
                if spans is not None:
                    counts[:] = False
                    for start, end in spans.tolist():
                        counts[start:end] = True
                counts[0] = False
                assert (labels != -100).tolist() == counts.tolist()
                assert labels[counts].tolist() == row.input_ids[mine][counts].tolist()
            begin += length
    assert seen == corpus.document_count - corpus.bucketed_count


def test_documents_that_are_not_taken_keep_their_tokens_and_their_numbers(made, tmp_path):
    run, _, _ = made
    plain = publish_bucket(tmp_path / "plain")
    assert files_of(run, "bucket") == files_of(plain, "bucket")
    now, before = TokenizedCorpus.open(run), TokenizedCorpus.open_bucketed(run)
    for document in range(0, before.document_count, 7):
        assert now.tokens(document).tobytes() == before.tokens(document).tobytes()
        assert now.document_id(document) == before.document_id(document)


def test_the_books_say_what_was_joined_and_what_was_added(made):
    run, manifest, packed = made
    balanced = run.stage("balance").manifest().ledger.kept()
    added = {
        name: sum((account.added.get(name, Count()) for account in manifest.ledger.domains.values()), Count())
        for name in ("untie_knots", "interleave")
    }
    kept = manifest.ledger.kept()
    assert kept.tokens == balanced.tokens + added["untie_knots"].tokens
    assert added["interleave"].tokens == 0 < added["untie_knots"].tokens
    assert kept.documents == balanced.documents + sum(count.documents for count in added.values())
    assert packed.ledger.received() == kept == packed.ledger.kept()
    untied, interleaved = manifest.facts["transforms"]
    whole = manifest.facts["documents"]
    assert untied["rows"] + interleaved["rows"] == whole
    drawn = run.stage("balance").manifest().facts["purposes"]["pretrain"]["planned_tokens"]
    assert untied["taken_tokens"] == pytest.approx(0.4 * drawn, rel=0.1)
    assert interleaved["taken_tokens"] == pytest.approx(0.2 * drawn, rel=0.1)
    for one in (untied, interleaved):
        assert one["source_tokens"] <= one["taken_tokens"]


def test_two_workers_make_the_bytes_that_one_makes(made, tmp_path):
    run, _, _ = made
    with open_ray(EngineSection(backend="ray", workers=2)) as backend:
        other, _, _ = augmented(tmp_path / "run", backend=backend)
    assert files_of(other, "augment") == files_of(run, "augment")
    assert files_of(other, "pack") == files_of(run, "pack")


class Killed(BaseException):
    """What stands for a kill: nothing may catch it."""


class DyingBackend(SerialBackend):
    """Dies after so many tasks."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.tasks = tasks

    def run(self, jobs):
        for done in super().run(jobs):
            if self.tasks == 0:
                raise Killed
            self.tasks -= 1
            yield done


@pytest.mark.parametrize("tasks", [0, 1])
def test_a_stage_that_was_killed_goes_on_to_the_same_bytes(made, tmp_path, tasks):
    run = publish_bucket(tmp_path / "run")
    asked = recipe(**BOTH)
    bring_up_to_date(balance.STAGE, asked, run, SerialBackend())
    with pytest.raises(Killed):
        bring_up_to_date(augment.STAGE, asked, run, DyingBackend(tasks))
    assert not run.stage("augment").is_published()
    bring_up_to_date(augment.STAGE, asked, run, SerialBackend())
    assert files_of(run, "augment") == files_of(made[0], "augment")


def test_without_transforms_the_stage_is_not_there_and_the_plan_is_what_it_was(tmp_path):
    run = publish_bucket(tmp_path / "run")
    asked = recipe(tokenizer=TRAIN)
    assert [stage.name for stage in chain_of(asked)] == [stage.name for stage in CHAIN]
    bring_up_to_date(balance.STAGE, asked, run, SerialBackend())
    before = bring_up_to_date(pack.STAGE, asked, run, SerialBackend()).manifest
    files = files_of(run, "pack")
    bring_up_to_date(augment.STAGE, recipe(**BOTH), run, SerialBackend())
    bring_up_to_date(pack.AUGMENTED, recipe(**BOTH), run, SerialBackend())
    assert files_of(run, "pack") != files
    # Even where an older augment still stands beside it.
    after = bring_up_to_date(pack.STAGE, asked, run, SerialBackend()).manifest
    assert after.facts["plans"]["pretrain"]["plan_hash"] == before.facts["plans"]["pretrain"]["plan_hash"]
    assert files_of(run, "pack") == files


def test_an_excluded_document_takes_the_derived_ones_that_hold_it_out_of_the_plan(tmp_path):
    run, manifest, _ = augmented(tmp_path / "run")
    corpus = TokenizedCorpus.open(run)
    parts = PartsTable(run.stage("augment"), manifest.shards[-1].file).all
    gone = int(parts.source[parts.role == SOURCE][0])
    holding = [number for number, _ in find_derived(run, corpus, gone)]
    assert holding
    asked = recipe(**BOTH, exclude={"ids": [corpus.document_id(gone)]})
    packed = bring_up_to_date(pack.AUGMENTED, asked, run, SerialBackend()).manifest
    assert packed.facts["excluded"]["documents"] == 1 + len(holding)
    planned = np.concatenate([block.document for block in blocks_of(run, packed, "pretrain")])
    assert not set(planned.tolist()) & {gone, *holding}
    assert not list(verify_plans(run))


def test_a_trace_says_what_a_derived_document_is_made_of(made):
    run, _, _ = made
    plan, corpus = PackPlan.open(run, "pretrain"), TokenizedCorpus.open(run)
    document = corpus.find("untie_knots/web/0/0")
    assert document is not None
    pack_number = int(plan.packs_of(document)[0])
    trace = trace_pack(run.uri, pack_number)
    (piece,) = [piece for piece in trace.pieces if piece.document == document]
    assert piece.transform == "untie_knots"
    assert [part.row_start for part in piece.made_of] == (
        piece.row_start + np.cumsum([0, *(part.tokens for part in piece.made_of)])[:-1]
    ).tolist()
    assert sum(part.tokens for part in piece.made_of) == piece.end
    text = trace.as_text()
    assert "made by untie_knots" in text
    assert ": head knot " in text
    source = next(part.document_id for part in piece.made_of if part.document_id)
    followed = trace_document(run.uri, source)
    assert {seen.within for seen in followed.sightings} == {"untie_knots/web/0/0"}
    number = corpus.find(source)
    assert sum(seen.end - seen.start for seen in followed.sightings) == corpus.length[number]
    assert f"pack {pack_number}: part" in followed.as_text()


def rewrite(run, entry, column, change):
    """Plant a fault: a derived shard's parts say something else."""
    uri = run.stage("augment").file(parts_file(entry.file))
    table = read_table(uri).combine_chunks()
    values = table[column].to_numpy().copy()
    change(values, table["role"].to_numpy())
    table = table.set_column(table.schema.get_field_index(column), PARTS_SCHEMA.field(column), pa.array(values))
    write_table(run.stage("augment").uri, parts_file(entry.file), table)


@pytest.mark.parametrize(
    ("column", "change", "found"),
    [
        ("source", lambda values, role: values.__setitem__(np.flatnonzero(role == 0)[0], 10**6), "not in the corpus"),
        ("role", lambda values, role: values.__setitem__(np.flatnonzero(role == 4)[0], 9), "unknown role"),
        (
            "start",
            lambda values, role: values.__setitem__(np.flatnonzero(role == 4)[0], 77777),
            "other tokens than its",
        ),
        ("length", lambda values, role: values.__setitem__(np.flatnonzero(role == 0)[0], 1), "and its parts"),
    ],
)
def test_planted_faults_are_found(tmp_path, column, change, found):
    run, manifest, _ = augmented(tmp_path / "run", augment=[UNTIE])
    rewrite(run, manifest.shards[0], column, change)
    assert any(found in problem for _, problem in verify_derived(run))


def test_a_changed_shard_of_derived_documents_is_named(tmp_path):
    run, manifest, _ = augmented(tmp_path / "run")
    write_atomic(run.recipe_uri, b"name: t\n")
    assert not [finding for finding in verify_run(run.uri) if finding.stage in ("augment", "pack")]
    path = Path(run.stage("augment").file(manifest.shards[0].file))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    problems = [str(finding) for finding in verify_run(run.uri) if finding.stage == "augment"]
    assert any("its bytes have changed" in problem for problem in problems)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"augment": [UNTIE | {"share": 0.9}, INTERLEAVE]}, "the shares sum to 1.1"),
        ({"augment": [UNTIE, UNTIE]}, "names a transform twice"),
        ({"augment": [INTERLEAVE], "pack": {"method": "concat"}}, "augment needs pack.method best_fit"),
        ({"augment": [UNTIE | {"chunks": (3, 2)}]}, "the least number first"),
        ({"augment": [UNTIE | {"tokens": NAMES | {"tail": NAMES["head"]}}]}, "four different special tokens"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(keys, message):
    with pytest.raises(ValueError, match=message):
        recipe(**keys)


def test_a_tokenizer_without_the_special_tokens_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"is none of tokenizer\.train.special_tokens"):
        augment.STAGE.check(recipe(augment=[UNTIE]))
    file = tmp_path / "tokenizer.json"
    file.write_text('{"added_tokens": [{"content": "<|heap|>", "id": 3}], "model": {"vocab": {}}}')
    with pytest.raises(RecipeError, match=r"tokens\.head '<\|head\|>' is no added token.*did you mean '<\|heap\|>'"):
        augment.STAGE.check(recipe(augment=[UNTIE], tokenizer={"path": str(file)}))


def test_a_tokenizer_without_digits_is_refused():
    added = [{"content": name, "id": number} for number, name in enumerate(NAMES.values())]
    options = recipe(**BOTH).augment[0]
    with pytest.raises(RecipeError, match="no token '7'"):
        find_knots({"added_tokens": added, "model": {"vocab": {str(n): n for n in range(10) if n != 7}}}, options)


def test_several_epochs_and_stages_are_taken_from_each_alike(tmp_path):
    stages = [{"name": "one", "budget_tokens": 30_000}, {"name": "two", "budget_tokens": 40_000}]
    mixture = {"max_epochs": 4, "stages": stages, "weights": {"books": 1, "web": 1}}
    run, manifest, packed = augmented(tmp_path / "run", mixture=mixture)
    assert {row["stage"] for row in read_table(run.stage("augment").file("intervals.arrow")).to_pylist()} == {0, 1}
    assert packed.ledger.received() == manifest.ledger.kept()
    assert not list(verify_derived(run))
    assert not list(verify_plans(run))
    assert [stage["name"] for stage in packed.facts["plans"]["pretrain"]["stages"]] == ["one", "two"]
