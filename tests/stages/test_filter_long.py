"""The filter stage on long documents: trims and flags in the books, the gzip band, the same bytes in any topology."""

from __future__ import annotations

import json
import random

import pytest

from lc_data.corpus.shard import read_table
from lc_data.engine.backend import DeferredBackend
from lc_data.engine.task import perform
from lc_data.quality.compression import gzip_steps
from lc_data.recipe.errors import RecipeError
from lc_data.stages.filter import STAGE, check_rules
from lc_data.text.buffers import as_text
from tests.quality.test_compression import story
from tests.quality.test_windows import BAD_HEAD, BAD_MIDDLE, GOOD_HEAD, ocr_noise, prose
from tests.small_corpus import published_bytes
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish, recipe
from tests.stages.test_dedupe import ShuffledBackend

WINDOWS = "windows: {{size_bytes: 4096, on_fail: {}}}"
TRIM = f"filter.rules=[{{rule: gopher_quality, {WINDOWS.format('trim')}}}, {{rule: coherence}}]"
FLAG = f"filter.rules=[{{rule: language}}, {{rule: gopher_quality, {WINDOWS.format('flag')}}}]"
BAND = "filter.gzip_band={edges_bytes: [3000], min_documents: 10}"
FRENCH = "Le comité s'est réuni mardi pour discuter de la nouvelle bibliothèque et a décidé de la construire bientôt.\n"
LONG = [
    {"id": "head", "text": BAD_HEAD},
    {"id": "tail", "text": GOOD_HEAD},
    {"id": "middle", "text": BAD_MIDDLE},
    {"id": "fine", "text": prose(50_000), "metadata": '{"year": 1901}'},
    {"id": "mixed", "text": prose(20_000) + FRENCH * 190},
]


def band_rows() -> list[dict]:
    """Two domains of two lengths each, from a refrain to noise, and one stratum that is too small to judge."""
    rng = random.Random(4)
    rows = []
    for number in range(90):
        size = rng.choice([1500, 6000])
        letters = "abcdefghijklmnopqrstuvwxyz      "[: rng.randint(2, 32)]
        text = "".join(rng.choices(letters, k=size))
        rows.append({"id": f"d{number}", "text": text, "domain": rng.choice(["web", "books"])})
    rows += [{"id": "refrain", "text": "la " * 600}, {"id": "chat", "text": "ha " * 600, "domain": "chats"}]
    return [*rows, {"id": "alone", "text": "a" * 5000, "domain": "laws"}]


def test_what_is_trimmed_is_in_the_books(tmp_path):
    run = publish(tmp_path, LONG)
    report = bring(STAGE, run, TRIM)
    kept = {row["id"]: row for row in kept_documents(report, run)}
    account = report.manifest.ledger.domains["web"]
    cut = sum(
        len(kept[name]["text"].encode()) - len(row["text"].encode()) for row in LONG if (name := row["id"]) in kept
    )
    assert cut < -40_000
    assert account.added["gopher_quality-trim"].bytes == cut
    assert account.added["gopher_quality-trim"].documents == 0
    assert json.loads(kept["fine"]["metadata"])["year"] == 1901
    assert all("coherence" in json.loads(row["metadata"])["lc_data"] for row in kept.values())
    assert report.manifest.facts["noted"] == {"web": {"coherence": len(kept), "failed_share": 1}}
    assert 0 < json.loads(kept["middle"]["metadata"])["lc_data"]["failed_share"]["gopher_quality"] <= 0.1


def test_a_bad_tail_drops_and_a_bad_page_is_written_down_and_counted(tmp_path):
    tail = {"id": "fifth", "text": prose(80_000) + ocr_noise(20_000)}
    run = publish(tmp_path, [*LONG, tail])
    report = bring(STAGE, run, FLAG.replace("flag", "drop"))
    gone = {row["id"]: row["reason"] for row in dropped_rows(report, run)}
    assert gone["fifth"] == gone["tail"] == "gopher_quality/windows"
    kept = {row["id"]: json.loads(row["metadata"] or "{}").get("lc_data", {}) for row in kept_documents(report, run)}
    assert [name for name, note in kept.items() if "failed_share" in note] == ["middle"]
    assert 0 < kept["middle"]["failed_share"]["gopher_quality"] <= 0.1
    assert report.manifest.facts["noted"]["web"]["failed_share"] == 1


def test_flags_and_mixed_languages_are_written_and_counted(tmp_path):
    run = publish(tmp_path, LONG)
    report = bring(STAGE, run, FLAG)
    kept = {row["id"]: json.loads(row["metadata"] or "{}").get("lc_data", {}) for row in kept_documents(report, run)}
    assert set(kept) >= {"head", "middle", "fine", "mixed"}
    assert set(kept["middle"]["failed_windows"]) == {"gopher_quality"}
    shares = kept["mixed"]["languages"]
    assert set(shares) == {"en", "fr"}
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert "languages" not in kept["fine"]
    noted = report.manifest.facts["noted"]["web"]
    assert noted["languages"] == sum("languages" in note for note in kept.values())
    assert noted["failed_windows"] == sum("failed_windows" in note for note in kept.values())


def stays_in_band(rows: list[dict], low: float = 0.2, high: float = 0.2) -> set[str]:
    """Sort each stratum and cut a fifth off at both ends, with everything in one place."""
    strata: dict[tuple, list[tuple[int, str]]] = {}
    for row in rows:
        strata.setdefault((row["domain"], len(row["text"]) >= 3000), []).append(
            (gzip_steps(as_text(row["text"])), row["id"])
        )
    stays = set()
    for (domain, _), found in strata.items():
        ranked = sorted(steps for steps, _ in found)
        judged = domain != "chats" and len(found) >= 10
        least, greatest = ranked[int(len(ranked) * low)], ranked[len(ranked) - 1 - int(len(ranked) * high)]
        stays |= {name for steps, name in found if not judged or least <= steps <= greatest}
    return stays


@pytest.mark.parametrize("shard_rows", [1, 7, 1000])
def test_the_band_is_that_of_the_whole_corpus_whatever_the_shards(tmp_path, shard_rows):
    rows = [{"domain": "web"} | row for row in band_rows()]
    random.Random(shard_rows).shuffle(rows)
    run = publish(tmp_path, rows, shard_rows=shard_rows)
    report = bring(STAGE, run, BAND)
    kept = kept_documents(report, run)
    assert {row["id"] for row in kept} == stays_in_band(rows)
    assert [row["id"] for row in kept] == [row["id"] for row in rows if row["id"] in stays_in_band(rows)]
    assert {"alone", "chat"} <= {row["id"] for row in kept}
    gone = {row["id"]: row["reason"] for row in dropped_rows(report, run)}
    assert gone["refrain"] == "gzip_band/too_compressible"
    assert set(gone) == {row["id"] for row in rows} - stays_in_band(rows)
    judged = sum(fact["documents"] for fact in report.manifest.facts["gzip_band"].values())
    assert len(gone) == pytest.approx(0.4 * judged, abs=8), "four strata, whole documents"
    ratios = {row["id"]: json.loads(row["metadata"])["lc_data"]["gzip_ratio"] for row in kept if row["domain"] == "web"}
    text = {row["id"]: row["text"] for row in rows}
    assert ratios == {name: gzip_steps(as_text(text[name])) / 10_000 for name in ratios}


def test_the_band_judges_what_the_rules_left_in_one_set_of_books(tmp_path):
    rows = [*({"domain": "web"} | row for row in band_rows()), {"id": "tiny", "text": "x"}]
    run = publish(tmp_path, rows, shard_rows=20)
    report = bring(STAGE, run, BAND, "filter.rules=[{rule: length, min_bytes: 10}]")
    account = report.manifest.ledger.domains["web"]
    assert account.came_in.documents == sum(row.get("domain", "web") == "web" for row in rows)
    assert account.dropped["length/min_bytes"].documents == 1
    assert set(account.dropped) == {"length/min_bytes", "gzip_band/too_compressible", "gzip_band/too_dense"}
    folder = run.stage("filter")
    assert sum(entry.rows for entry in report.manifest.dropped) == len(dropped_rows(report, run))
    assert all(read_table(folder.file(entry.file)).num_rows == entry.rows for entry in report.manifest.dropped)
    assert not (tmp_path / "filter" / "work").exists()


def test_the_same_bytes_in_any_order_of_tasks(tmp_path):
    rows = [*LONG, *band_rows(), *({"id": f"s{n}", "text": story(n, 9000)} for n in range(20))]
    rules = "filter.rules=[{rule: language}, {rule: gopher_repetition, domains: [books]}, {rule: coherence}]"
    sets = "filter.sets={papers: [web]}"
    for name, backend in (("a", None), ("b", ShuffledBackend(1)), ("c", ShuffledBackend(2))):
        run = publish(tmp_path / name, rows, shard_rows=9)
        bring(STAGE, run, rules, sets, BAND, backend=backend)
    assert published_bytes(tmp_path / "a") == published_bytes(tmp_path / "b") == published_bytes(tmp_path / "c")


@pytest.mark.parametrize("section", ["filter.sets={books: [book]}", "filter.gzip_band={domains: [book]}"])
def test_a_domain_that_no_source_has_is_said_before_any_work(section):
    with pytest.raises(RecipeError, match="no source has the domain 'book'; did you mean 'books'"):
        check_rules(recipe(section))


class StoppingBackend:
    """Is stopped after so many tasks."""

    def __init__(self, tasks: int) -> None:
        self._left = tasks

    def run(self, jobs):
        for job in jobs:
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
            yield job, perform(job)


@pytest.mark.parametrize("tasks", [2, 5])
def test_a_stage_stopped_in_either_phase_goes_on_to_the_same_bytes(tmp_path, tasks):
    rows = band_rows()
    whole, stopped = (publish(tmp_path / name, rows, shard_rows=31) for name in "ab")
    bring(STAGE, whole, BAND)
    with pytest.raises(KeyboardInterrupt):
        bring(STAGE, stopped, BAND, backend=StoppingBackend(tasks))
    assert not stopped.stage("filter").is_published()
    bring(STAGE, stopped, BAND)
    assert published_bytes(tmp_path / "a") == published_bytes(tmp_path / "b")


def test_two_ray_workers_publish_the_bytes_of_the_serial_run(tmp_path):
    rows = [*LONG, *band_rows()]
    serial, ray = (publish(tmp_path / name, rows, shard_rows=20) for name in "ab")
    rules = "filter.rules=[{rule: language}, {rule: coherence}]"
    bring(STAGE, serial, rules, "filter.sets={books: [books]}", BAND)
    engine = "engine={backend: ray, workers: 2}"
    with DeferredBackend(recipe(engine).engine) as backend:
        bring(STAGE, ray, rules, "filter.sets={books: [books]}", BAND, engine, backend=backend)
    assert published_bytes(tmp_path / "a") == published_bytes(tmp_path / "b")
