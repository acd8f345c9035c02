"""Measures of documents as columns: what is in the metadata is what a mixture reads, in the order of the index."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.columns import COLUMNS_FILE, ColumnReader, missing_columns
from lc_data.corpus.document import DOCUMENT_SCHEMA
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_batches, write_documents
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError
from lc_data.corpus.tokenized_writer import write_columns
from lc_data.corpus.verify import verify_run
from lc_data.corpus.verify_tokens import verify_tokens
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import TaskError
from lc_data.failure import Failure
from lc_data.journey import travel
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import parse_recipe
from lc_data.stages.bucket import STAGE
from tests.lengths.texts import mixed_text, small_tokenizer
from tests.small_corpus import small_recipe, write_small_corpus

NAMES = ("coherence", "gzip_ratio", "score")


def entries(row: int) -> dict:
    """The metadata of one document: notes in some, an own entry that a note hides in others."""
    notes = {} if row % 3 == 0 else {"coherence": row / 7, "languages": {"en": 1.0}}
    own = {"score": row} if row % 5 else {"score": "high"}
    return own | ({"coherence": -1.0} if row % 2 else {}) | ({"lc_data": notes} if notes else {}) | {"gzip_ratio": 0.5}


def expected(row: int) -> list[float]:
    coherence = row / 7 if row % 3 else (-1.0 if row % 2 else np.nan)
    return [coherence, 0.5, float(row) if row % 5 else np.nan]


def bucket(folder, cuts: list[range], columns: tuple[str, ...] = NAMES, metadata=entries) -> RunFolder:
    tokenizer = folder / "tiny.json"
    tokenizer.write_text(small_tokenizer())
    recipe = parse_recipe(
        "name: c\nsources: [{name: web, kind: jsonl, domain: web, paths: [none]}]\n"
        f"tokenizer: {{path: {tokenizer}}}\n"
        "bucket: {edges_tokens: [16, 64], shard_tokens: 500}",
        [f"bucket.columns={json.dumps(list(columns))}"],
    )
    run = RunFolder(str(folder / "run"))
    dedupe, ledger, shards = run.stage("dedupe"), Ledger(), []
    for number, cut in enumerate(cuts):
        rows = [
            dict.fromkeys(DOCUMENT_SCHEMA.names)
            | {"id": str(row), "text": mixed_text(row, 1 + row % 40), "domain": "web", "source": "test"}
            | {"metadata": json.dumps(metadata(row)) if metadata(row) is not None else None}
            for row in cut
        ]
        entry = write_documents(
            dedupe.uri, f"shards/{number}.arrow", [pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)]
        )
        ledger.come_in("web", len(rows), entry.text_bytes)
        ledger.keep("web", len(rows), entry.text_bytes)
        shards.append(entry)
    manifest = Manifest(stage="dedupe", fingerprint="d", shards=shards, ledger=ledger, seed=0)
    write_manifest(dedupe.manifest_uri, manifest)
    bring_up_to_date(STAGE, recipe, run, SerialBackend())
    return run


def test_columns_are_in_the_order_of_the_index(tmp_path):
    corpus = TokenizedCorpus.open(bucket(tmp_path, [range(20), range(20, 50)]))
    assert corpus.column_names == NAMES
    rows = [int(corpus.document_id(number)) for number in range(corpus.document_count)]
    assert sorted(rows) == list(range(50)) != rows
    for place, name in enumerate(NAMES):
        column = corpus.column(name)
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, np.array([expected(row)[place] for row in rows], np.float32))
    counts = corpus._manifest.facts["columns"]["documents"]
    assert counts == [sum(not np.isnan(expected(row)[place]) for row in range(50)) for place in range(3)]


def test_bytes_do_not_depend_on_how_the_input_is_cut(tmp_path):
    checksums = set()
    for name, cuts in (("a", [range(40)]), ("b", [range(15), range(15, 40)])):
        (tmp_path / name).mkdir()
        run = bucket(tmp_path / name, cuts)
        checksums.add(file_checksum(run.stage("bucket").file(COLUMNS_FILE)))
    assert len(checksums) == 1


def test_a_column_that_no_document_has_stops_the_stage_and_lists_those_there(tmp_path):
    with pytest.raises(Failure, match=r"no document has a number under 'perplexity'; those there are coherence, gzip_"):
        bucket(tmp_path, [range(10)], ("score", "perplexity"))
    (tmp_path / "none").mkdir()
    with pytest.raises(Failure, match="'coherence'; no document has any"):
        bucket(tmp_path / "none", [range(3)], ("coherence",), lambda row: None)


def test_a_corpus_without_columns_says_what_to_name(tmp_path):
    run = bucket(tmp_path, [range(10)], ())
    corpus = TokenizedCorpus.open(run)
    assert corpus.column_names == ()
    assert COLUMNS_FILE not in [entry.file for entry in run.stage("bucket").manifest().extra]
    with pytest.raises(TokenizedError, match=r"no column 'coherence' \(there: none\); name it in bucket.columns"):
        corpus.column("coherence")


def test_no_documents_at_all_have_no_columns(tmp_path):
    corpus = TokenizedCorpus.open(bucket(tmp_path, []))
    assert corpus.column("score").tolist() == []


def test_metadata_that_is_no_object_is_named(tmp_path):
    with pytest.raises(TaskError, match="metadata is list, not a JSON object"):
        bucket(tmp_path, [range(3)], metadata=lambda row: [row])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c | {"score": np.where(np.isnan(c["score"]), 0, c["score"])}, "50 documents have 'score', the man"),
        (lambda c: c | {"score": np.where(c["score"] == 7, np.inf, c["score"])}, "'score' is inf, not a finite number"),
        (lambda c: {"coherence": c["coherence"]}, "other columns than expected|no column"),
        (lambda c: {name: values[1:] for name, values in c.items()}, "rows 49, expected 50"),
    ],
)
def test_verify_reads_columns_again(tmp_path, spoil, message):
    run = bucket(tmp_path, [range(50)])
    assert list(verify_tokens(run)) == []
    corpus, stage = TokenizedCorpus.open(run), run.stage("bucket")
    entry = write_columns(
        stage.uri,
        {
            name: pa.array(values.astype(np.float32), from_pandas=True)
            for name, values in spoil({name: corpus.column(name) for name in NAMES}).items()
        },
    )
    manifest = stage.manifest()
    extra = [entry if old.file == COLUMNS_FILE else old for old in manifest.extra]
    write_manifest(stage.manifest_uri, manifest.model_copy(update={"extra": extra}))
    [(file, problem)] = list(verify_tokens(run))
    assert file == COLUMNS_FILE
    assert re.search(message, problem)


numbers = st.one_of(st.floats(), st.integers(-(10**400), 10**400), st.booleans(), st.text(max_size=2), st.none())


@given(st.lists(st.none() | st.tuples(st.dictionaries(st.sampled_from("ab"), numbers),
                                      st.none() | st.dictionaries(st.sampled_from("ab"), numbers))))  # fmt: skip
def test_notes_come_first_and_only_finite_numbers_count(documents):
    metadata = [
        None if row is None else json.dumps(row[0] | ({} if row[1] is None else {"lc_data": row[1]}))
        for row in documents
    ]
    reader = ColumnReader(("a", "b"))
    values = reader.read(metadata)
    for row, document in enumerate(documents):
        for place, name in enumerate("ab"):
            found = np.nan
            for source in [] if document is None else [document[0], document[1] or {}]:
                value = source.get(name)
                if (
                    isinstance(value, int | float)
                    and not isinstance(value, bool)
                    and abs(value) <= 3.4028234663852886e38
                ):
                    found = np.float32(value)
            assert np.array_equal(values[row, place], np.float32(found), equal_nan=True)
    assert reader.documents["a"] == np.isfinite(values[:, 0]).sum()


def test_a_missing_name_is_told_only_where_none_has_it():
    assert missing_columns(("a",), Counter(a=1), []) is None
    assert "'b'" in (missing_columns(("a", "b"), Counter(a=1), ["a"]) or "")


def test_a_column_named_twice_is_refused():
    with pytest.raises(RecipeError, match="columns names 'a' more than once"):
        parse_recipe(
            "name: c\nsources: [{name: w, kind: jsonl, domain: w, paths: [n]}]\ntokenizer: {train: {}}\n"
            "bucket: {columns: [a, a]}"
        )


def test_what_the_filter_measures_becomes_columns_of_a_whole_run(tmp_path):
    write_small_corpus(tmp_path / "corpus")
    recipe = small_recipe(
        tmp_path / "corpus",
        "filter.rules=[{rule: length, min_bytes: 40}, {rule: coherence, domains: [books], piece_bytes: 1024}]",
        "filter.gzip_band={domains: [web, books], drop_low: 0.05, drop_high: 0.05}",
        "bucket.columns=[gzip_ratio, coherence]",
    )
    run = RunFolder(str(tmp_path / "run"))
    list(travel(recipe, run, "pack"))
    assert not verify_run(run.uri)
    corpus = TokenizedCorpus.open(run)
    ratio = corpus.column("gzip_ratio")
    banded = np.isin(corpus.domain, [corpus.domains.index(name) for name in ("web", "books")])
    np.testing.assert_array_equal(np.isfinite(ratio), banded)
    assert 0 < np.nanmin(ratio) < np.nanmax(ratio) < 1.5
    whole = {
        document["id"]: json.loads(document["metadata"] or "{}").get("lc_data", {})
        for entry in run.stage("dedupe").manifest().shards
        for batch in read_batches(run.stage("dedupe").file(entry.file))
        for document in batch.select(["id", "metadata"]).to_pylist()
    }
    for name in corpus.column_names:
        wanted = [whole[corpus.document_id(number)].get(name, np.nan) for number in range(corpus.document_count)]
        np.testing.assert_array_equal(corpus.column(name), np.array(wanted, np.float32))
