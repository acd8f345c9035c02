"""Every number of a report against a slow count of what is on disk."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.manifest import ManifestError
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.reports.collect import lengths
from lc_data.reports.collect.report import collect_report
from lc_data.reports.collect.training import CURVE_POINTS
from lc_data.reports.content import Report
from tests.reports.conftest import STEPS


@pytest.fixture(scope="module")
def documents(run):
    """(id, domain, tokens) of every tokenised document, in the order of their numbers."""
    found = []
    for entry in run.stage("bucket").manifest().shards:
        table = read_table(run.stage("bucket").file(entry.file))
        found += [(row["id"], entry.facts["domain"], len(row["tokens"])) for row in table.to_pylist()]
    return found


@pytest.fixture(scope="module")
def pieces(run):
    """The pieces of the pretrain plan as rows."""
    plan = run.stage("pack").manifest().facts["plans"]["pretrain"]
    return [row for block in plan["blocks"] for row in read_table(run.stage("pack").file(block["file"])).to_pylist()]


def test_stage_books_are_the_ledgers(run, report):
    for books in report.stages:
        manifest = run.stage(books.stage).manifest()
        assert books.domains == manifest.ledger.domains
        assert books.total.kept == manifest.ledger.kept()
        assert books.total.came_in == manifest.ledger.received()
        assert books.total.difference().documents == 0
        assert books.timing is not None
        assert (
            books.timing.seconds == json.loads(Path(run.stage(books.stage).file("timing.json")).read_text())["seconds"]
        )


def test_every_reason_with_rows_has_examples_that_are_on_disk(run, report):
    for books in report.stages:
        manifest = run.stage(books.stage).manifest()
        listed = set()
        for entry in (*manifest.dropped, *manifest.quarantine):
            rows = read_table(run.stage(books.stage).file(entry.file)).to_pylist()
            listed |= {(row["reason"], row.get("id", row.get("address")), row["domain"], row["bytes"]) for row in rows}
        shown = {(reason, one.id, one.domain, one.bytes) for reason, some in books.examples.items() for one in some}
        assert shown <= listed
        for reason, times in Counter(reason for reason, *_ in listed).items():
            assert len(books.examples[reason]) == min(3, times)
    assert report.stage("filter").examples
    assert report.stage("ingest").examples


def test_lengths_are_those_of_the_documents(report, documents):
    edges = report.lengths.edges_tokens
    for domain in report.lengths.domains:
        mine = [length for _, name, length in documents if name == domain.domain]
        for place, low in enumerate(edges):
            high = edges[place + 1] if place + 1 < len(edges) else float("inf")
            inside = [length for length in mine if low <= length < high]
            assert (domain.documents[place], domain.tokens[place]) == (len(inside), sum(inside))
        assert domain.class_documents[0] == sum(length < 4096 for length in mine)
        assert sum(domain.class_tokens) == sum(mine)
        assert domain.longest_tokens == max(mine)
        steps = Counter(min(length // 4096, 8) for length in mine)
        assert domain.step_documents == [steps[place] for place in range(9)]
        assert domain.step_tokens == [
            sum(length for length in mine if min(length // 4096, 8) == place) for place in range(9)
        ]
    assert {domain.domain for domain in report.lengths.domains} == {"books", "web", "chinese", "chats"}


def test_a_plan_is_counted_piece_by_piece(report, documents, pieces):
    plan = report.plan("pretrain")
    assert plan.pieces == len(pieces)
    assert plan.tokens == sum(piece["length"] for piece in pieces)
    assert plan.packs == len({piece["pack"] for piece in pieces})
    assert plan.fill == plan.tokens / (plan.packs * plan.seq_len)
    assert plan.documents_cut == sum(piece["part"] == 1 for piece in pieces)
    per_pack = Counter(piece["pack"] for piece in pieces).values()
    assert plan.pieces_per_pack == [min(per_pack), int(np.median(list(per_pack))), max(per_pack)]
    edges = report.lengths.edges_tokens
    for domain in plan.domains:
        mine = [piece for piece in pieces if documents[piece["document"]][1] == domain.domain]
        assert domain.tokens == sum(piece["length"] for piece in mine)
        assert domain.documents == len({piece["document"] for piece in mine})
        begins = Counter(piece["document"] for piece in mine if piece["part"] == 0)
        assert domain.most_repeats == max(begins.values())
        # The context of a token is its place in its piece: counted here token by token.
        positions = [position for piece in mine for position in range(piece["length"])]
        assert domain.context_sum == sum(positions)
        assert sum(domain.context_tokens) == domain.tokens
        by_bin = Counter(int(np.searchsorted(edges, position, side="right")) - 1 for position in positions)
        assert domain.context_tokens == [by_bin[place] for place in range(len(edges))]
        by_length = Counter()
        for piece in mine:
            by_length[int(np.searchsorted(edges, documents[piece["document"]][2], side="right")) - 1] += piece["length"]
        assert domain.document_tokens == [by_length[place] for place in range(len(edges))]
        seen = {piece["document"] for piece in mine}
        steps = Counter(min(documents[number][2] // 4096, 8) for number in seen)
        assert domain.step_documents == [steps[place] for place in range(9)]
        assert sum(domain.step_tokens) == domain.tokens
        first = sum(piece["length"] for piece in mine if documents[piece["document"]][2] < 4096)
        assert domain.step_tokens[0] == first


def test_wanted_shares_are_those_of_the_recipe_and_plans_agree_with_balance(report):
    plan = report.plan("pretrain")
    assert {domain.domain: round(domain.wanted_share, 9) for domain in plan.domains} == {
        "books": 0.5,
        "web": 0.3,
        "chinese": 0.2,
    }
    assert all(domain.planned_tokens == domain.tokens for domain in plan.domains)
    assert all(domain.wanted_share is None for domain in report.plan("held_out").domains)


def test_documents_not_seen_to_their_end(report, documents, pieces):
    seen = Counter()
    for piece in pieces:
        seen[piece["document"]] += piece["length"]
    assert report.plan("pretrain").documents_shortened == sum(
        tokens % documents[number][2] != 0 for number, tokens in seen.items()
    )


def test_a_long_curve_is_thinned_by_means_and_a_torn_line_is_left_out(report):
    (training,) = report.trainings
    assert training.steps == STEPS
    assert training.tokens == STEPS * 8192
    assert len(training.curve) == STEPS / 3 <= CURVE_POINTS
    assert training.curve[0].step == 1
    assert training.last_loss < training.curve[-1].loss < training.curve[-2].loss
    cost = training.cost
    assert (cost.mfu, cost.loader_wait_share, cost.padding_share) == pytest.approx((0.2, 0.1, 0.01))
    assert (cost.peak_memory_bytes, cost.skipped_updates, cost.rank_imbalance) == (1_000_000 + STEPS - 1, 1, 1.5)
    assert cost.checkpoint_stall_seconds == pytest.approx(0.01 * STEPS)
    assert training.last_steps == 50
    assert [bucket.first for bucket in training.buckets] == [0, 256, 512]
    assert training.domains["web"][0].nll == pytest.approx(4.3)
    assert [gain.step for gain in training.gains] == list(range(149, STEPS, 50))
    assert training.gains[0].gain_cut == 0.25
    (evaluation,) = report.evaluations
    assert [(bucket.first, bucket.last) for bucket in evaluation.buckets] == [(0, 255), (256, 511), (512, 1023)]


def test_licences_and_languages_are_counted_over_what_dedupe_kept(report):
    assert (
        sum(report.licenses.values()) == sum(report.languages.values()) == report.stage("dedupe").total.kept.documents
    )


def test_a_report_survives_json(report):
    assert Report.model_validate_json(report.model_dump_json(by_alias=True)) == report


@pytest.mark.parametrize("last", ["ingest", "dedupe", "bucket", "balance"])
def test_a_run_is_reported_as_far_as_it_has_come(run, tmp_path, last):
    (tmp_path / "recipe.yaml").write_text(Path(run.recipe_uri).read_text())
    for stage in ("ingest", "filter", "dedupe", "bucket", "balance"):
        (tmp_path / stage).symlink_to(run.stage(stage).uri)
        if stage == last:
            break
    part = collect_report(RunFolder(str(tmp_path)))
    assert part.stages[-1].stage == last
    assert (part.lengths is not None) == (last in {"bucket", "balance"})
    assert part.plans == []


def test_a_folder_without_a_stage_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no published stage"):
        collect_report(RunFolder(str(tmp_path)))


@given(st.lists(st.integers(1, 300_000), min_size=1, max_size=60))
def test_medians_halve_documents_and_tokens(values):
    length = np.array(values)
    corpus = _CorpusOf(length)
    (domain,) = lengths.measure_lengths(corpus).domains
    assert statistics.median_low(values) <= domain.median_tokens <= statistics.median_high(values)
    assert sum(value for value in values if value >= domain.token_median_tokens) * 2 >= sum(values)
    assert sum(value for value in values if value > domain.token_median_tokens) * 2 < sum(values)


@given(st.integers(0, 1 << 40))
def test_bins_double_and_hold_the_longest(longest):
    edges = lengths.bin_edges(longest)
    assert edges[0] == 0
    assert (edges[2:] == 2 * edges[1:-1]).all()
    assert edges[-1] <= max(longest, 64) < 2 * edges[-1]


class _CorpusOf(TokenizedCorpus):
    """A corpus of one domain that has lengths and nothing else."""

    def __init__(self, length: np.ndarray) -> None:
        self.length, self.domain, self.domains = length, np.zeros(len(length), np.uint16), ("one",)
        self.bucketed_count = len(length)


def test_values_of_a_column_are_counted_without_reading_the_text(tmp_path):
    from lc_data.corpus.document import DOCUMENT_SCHEMA
    from lc_data.corpus.run import StageFolder
    from lc_data.corpus.shard import write_documents
    from lc_data.reports.collect.stages import count_values

    rows = [
        {"id": str(number), "text": "x", "domain": "d", "source": "s", "license": license_}
        for number, license_ in enumerate(["MIT", None, "MIT", "Apache-2.0", "Apache-2.0", "MIT"])
    ]
    entry = write_documents(str(tmp_path), "shards/a.arrow", [pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)])
    counts = count_values(StageFolder(str(tmp_path)), [entry], "license")
    assert list(counts.items()) == [("MIT", 3), ("Apache-2.0", 2), ("", 1)]
