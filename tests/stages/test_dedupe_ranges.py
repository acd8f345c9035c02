"""Dedupe range by range: clusters that span ranges, and a driver that reads nothing."""

from __future__ import annotations

import json
import random

import pytest

from lc_data.corpus import storage
from lc_data.engine.task import perform
from lc_data.stages.dedupe import STAGE, bounds
from tests.dedup.prose import edit, prose
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish


def chains(rng: random.Random, count: int, length: int) -> list[dict]:
    """Texts of which each is like the next one (Jaccard 0.81) and too little like the one after that (0.65)."""
    rows = []
    for chain in range(count):
        words, own = prose(rng, 2000).split(), prose(rng, 2000).split()
        for step in range(length):
            text = " ".join([*own[: 210 * step], *words[: 2000 - 210 * step]])
            # Of the size that makes each come before the next one.
            rows.append({"id": f"{chain}-{step:02d}", "text": text.ljust(20_000 - step)})
    return rows


def planted() -> list[dict]:
    """Chains, copies, near-duplicates of excerpts and a book, each kind spread over all places."""
    rng = random.Random(1)
    book = prose(rng, 8000)
    excerpt = " ".join(book.split()[1000:3000])
    texts = {"book": book, "excerpt": excerpt, "longer": f"{excerpt} indeed", "same": f"{excerpt}\n"}
    pages = {f"page{number:02d}": prose(rng, 150) for number in range(20)}
    texts |= pages | {f"{name}-near": edit(rng, text, 0.005) for name, text in pages.items()}
    texts |= {f"{name}-copy": f"{text}\n" for name, text in list(pages.items())[:10]}
    rows = [*({"id": name, "text": text} for name, text in texts.items()), *chains(rng, 3, 9)]
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    rows = planted()
    run = publish(tmp_path_factory.mktemp("whole"), rows, "filter", shard_rows=8)
    report = bring(STAGE, run, "dedupe.max_loss=1")
    return rows, dropped_rows(report, run)


def test_chains_are_what_they_say(whole):
    """Every second text of a chain goes: what becomes of the last one depends on all before it."""
    gone = {row["id"]: json.loads(row["detail"])["keeper"] for row in whole[1]}
    for chain in range(3):
        assert sum(name.startswith(f"{chain}-") for name in gone) == 4
    assert not gone.keys() & set(gone.values())


@pytest.mark.parametrize(("documents", "pairs"), [(1, 20), (24, 1 << 22)])
def test_clusters_that_span_ranges_are_decided_as_in_one(whole, tmp_path, monkeypatch, documents, pairs):
    monkeypatch.setattr(bounds, "RANGE_DOCUMENTS", documents)
    # Without room for what is left in one task, rounds go on until all is decided.
    monkeypatch.setattr(bounds, "MAX_PAIRS", pairs)
    run = publish(tmp_path, whole[0], "filter", shard_rows=8)
    report = bring(STAGE, run, "dedupe.max_loss=1")
    phases = json.loads(storage.read_bytes(run.stage("dedupe").file("timing.json")))["phases"]
    assert "decide_all_1" in phases, "one range decided all"
    assert dropped_rows(report, run) == whole[1]
    assert len(kept_documents(report, run)) == len(whole[0]) - len(whole[1])


class Watched:
    """Runs tasks, forbids the driver to read work files and documents, and keeps what the driver is told."""

    def __init__(self, map_input) -> None:
        self.in_task, self.told, self._map_input = False, {}, map_input

    def map_input(self, uri):
        assert self.in_task, f"the driver reads {uri}"
        return self._map_input(uri)

    def run(self, jobs):
        for job in jobs:
            self.in_task = True
            record = perform(job)
            self.in_task = False
            self.told.setdefault(job.phase, []).append(len(json.dumps(record.facts)))
            yield job, record


def corpus_of(documents: int) -> list[dict]:
    """A third of near-duplicates, excerpts and copies in whatever number of documents."""
    rng = random.Random(2)
    rows = []
    for number in range(documents // 6):
        text = prose(rng, 120)
        more = [text, f"{text}\n", edit(rng, text, 0.004), *(prose(rng, 60) for _ in range(3))]
        rows += [{"id": f"{number}-{kind}", "text": text} for kind, text in enumerate(more)]
    return rows


def test_the_driver_reads_no_rows_and_is_told_counts_whatever_the_number_of_documents(tmp_path, monkeypatch):
    told, map_input = [], storage.map_input
    for documents in (120, 960):
        watched = Watched(map_input)
        monkeypatch.setattr(storage, "map_input", watched.map_input)
        run = publish(tmp_path / str(documents), corpus_of(documents), "filter", shard_rows=documents // 4)
        report = bring(STAGE, run, backend=watched)
        assert report.manifest.ledger.kept().documents < documents * 5 // 6
        told.append(watched.told)
    small, large = told
    for phase, sizes in large.items():
        # A phase may have had nothing to do in the small corpus.
        before = small.get(phase, [len('{"near": 0, "contained": 0}')])
        assert len(sizes) == len(before), phase
        # A digit more for each count, eight times as many documents.
        assert max(sizes) <= max(before) + 16, phase
