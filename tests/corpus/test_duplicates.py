"""The listing of what dedupe removed."""

from __future__ import annotations

import json
import random

import pytest

from lc_data import cli
from lc_data.corpus.document import DROPPED_SCHEMA
from lc_data.corpus.duplicates import DuplicatesError, iterate_duplicates, largest_clusters, list_duplicates
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import write_rows
from lc_data.stages.dedupe import STAGE
from tests.dedup.prose import edit, prose
from tests.stages.ingested import bring, dropped_rows, publish


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = random.Random(0)
    book, page = prose(rng, 6000), prose(rng, 300)
    rows = [
        {"id": "book", "text": book, "domain": "books"},
        {"id": "part", "text": " ".join(book.split()[:1500])},
        {"id": "edition", "text": edit(rng, book[:-500], 0.05), "domain": "books"},
        {"id": "page", "text": f"{page} the end"},
        {"id": "near", "text": f"{page}\n"},
        {"id": "copy", "text": page},
        {"id": "other", "text": prose(rng, 300)},
    ]
    run = publish(tmp_path_factory.mktemp("listed"), rows, "filter")
    return run, bring(STAGE, run)


def test_every_removal_is_listed_with_its_keeper_measures_and_spans(run):
    found = list_duplicates(run[0].uri)
    assert [pair.document for pair in found.pairs] == [row["id"] for row in dropped_rows(run[1], run[0])]
    pairs = {pair.document: pair for pair in found.pairs}
    assert {name: (pair.keeper, pair.reason) for name, pair in pairs.items()} == {
        "part": ("book", "contained"),
        "edition": ("book", "edition"),
        "near": ("page", "near_duplicate"),
        "copy": ("page", "exact_duplicate"),
    }
    assert pairs["copy"].same_text_as == "near"
    assert pairs["near"].measures.keys() == {"jaccard"}
    assert pairs["part"].measures["containment"] == 1.0
    assert pairs["part"].spans == ((0, pairs["part"].bytes, 0, pairs["part"].bytes),)


def test_clusters_and_table_hold_every_pair_once(run):
    found = list_duplicates(run[0].uri)
    assert [(keeper, len(members)) for keeper, members in found.clusters()] == [("book", 2), ("page", 2)]
    dropped = {
        (domain, reason): (count.documents, count.bytes)
        for domain, account in run[1].manifest.ledger.domains.items()
        for reason, count in account.dropped.items()
    }
    assert {
        (domain, reason): (count["documents"], count["bytes"])
        for domain, reasons in found.table().items()
        for reason, count in reasons.items()
    } == dropped


def test_text_and_json_tell_the_same(run):
    found = list_duplicates(run[0].uri)
    text = found.as_text(1)
    assert "removed 4 documents" in text
    assert "book stays for 2:" in text
    assert "and 1 smaller clusters" in text
    assert "page stays" not in text
    plain = found.as_json()
    assert plain["clusters"][1] == {"keeper": "page", "documents": [pair.document for pair in found.clusters()[1][1]]}
    assert len(plain["pairs"]) == 4


def test_the_command_prints_text_or_one_json_document(run, monkeypatch, capsys):
    for arguments in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["lc-data", "duplicates", run[0].uri, *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
    text, _, plain = capsys.readouterr().out.rpartition("\n{")
    assert text == list_duplicates(run[0].uri).as_text(20)
    assert json.loads("{" + plain) == json.loads(json.dumps(list_duplicates(run[0].uri).as_json()))


def test_a_run_without_the_stage_is_an_error(tmp_path):
    with pytest.raises(DuplicatesError, match="no dedupe stage yet"):
        list_duplicates(str(tmp_path))
    with pytest.raises(DuplicatesError, match="no dedupe stage yet"):
        iterate_duplicates(str(tmp_path))


def test_the_measure_that_decided_is_named(run):
    pairs = {pair.document: pair for pair in iterate_duplicates(run[0].uri)}
    assert {name: pair.measure for name, pair in pairs.items()} == {
        "part": "coverage", "edition": "coverage", "near": "jaccard", "copy": "jaccard",
    }  # fmt: skip
    assert pairs["part"].similarity == 1.0
    assert 0.7 < pairs["edition"].similarity == pairs["edition"].measures["coverage"] < 1.0


def test_the_largest_clusters_are_those_of_the_whole_listing(run):
    whole = list_duplicates(run[0].uri).clusters()
    for limit, members in ((20, 10), (1, 1), (2, 0)):
        found = largest_clusters(run[0].uri, limit, members)
        assert [(each.keeper, each.documents, each.bytes, list(each.members)) for each in found] == [
            (keeper, len(pairs), sum(pair.bytes for pair in pairs), pairs[:members]) for keeper, pairs in whole[:limit]
        ]


@pytest.mark.parametrize(
    "detail",
    [None, "book", '{"jaccard": 0.9}', '{"keeper": "book", "jaccard": 0.9}', '{"keeper": "book", "spans": []}', "[]"],
)
def test_rows_of_an_older_version_are_an_error_that_says_what_to_run(tmp_path, detail):
    run = RunFolder(str(tmp_path))
    row = {"id": "part", "reason": "near_duplicate", "domain": "web", "bytes": 9, "detail": detail}
    entry = write_rows(run.stage("dedupe").uri, "dropped/00000.arrow", [row], DROPPED_SCHEMA)
    ledger = Ledger()
    ledger.come_in("web", 1, 9)
    ledger.drop("web", "near_duplicate", 1, 9)
    manifest = Manifest(stage="dedupe", fingerprint="old", dropped=[entry], ledger=ledger, seed=0)
    write_manifest(run.stage("dedupe").manifest_uri, manifest)
    for read in (list_duplicates, largest_clusters):
        with pytest.raises(DuplicatesError, match=r"older version of lc_data.*'part'.*lc-data dedupe RECIPE --out"):
            read(run.uri)
