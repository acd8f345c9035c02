"""The lengths of runs and of raw files: the same numbers, whichever way they are counted."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lc_data.cli import app
from lc_data.corpus.run import RunFolder
from lc_data.journey import travel
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import parse_recipe
from lc_data.survey import survey
from tests.lengths.texts import mixed_text, small_tokenizer
from tests.stages.bucketed import write_bucketed


@pytest.fixture
def tokenizer(tmp_path) -> str:
    path = tmp_path / "tiny.json"
    path.write_text(small_tokenizer())
    return str(path)


@pytest.fixture
def raw(tmp_path) -> str:
    folder = tmp_path / "raw"
    for name in ("web", "books/classics"):
        (folder / name).mkdir(parents=True)
    lines = [json.dumps({"text": mixed_text(row, 5 + row % 50)}) for row in range(40)]
    (folder / "web" / "a.jsonl").write_text("\n".join([*lines, "{broken", '{"other": 1}']))
    pq.write_table(pa.table({"text": [mixed_text(7, 300)]}), folder / "web" / "b.parquet")
    (folder / "books" / "classics" / "moby.txt").write_text(mixed_text(3, 2000))
    (folder / "letters.jsonl").write_text(json.dumps({"text": "dear reader"}))
    (folder / "read.me").write_text("neither")
    return str(folder)


def test_raw_files_count_what_a_run_counts(tmp_path, raw, tokenizer):
    found = survey([raw], tokenizer)
    assert found.domains == ("books", "letters", "web")
    assert found.unreadable == 2
    recipe = parse_recipe(_recipe(raw, tokenizer))
    run = RunFolder(str(tmp_path / "run"))
    list(travel(recipe, run, "bucket"))
    of_run = survey([run.uri])
    assert of_run.domains == found.domains
    for code in range(3):
        assert sorted(of_run.length[of_run.domain == code]) == sorted(found.length[found.domain == code])
    assert of_run.longest_tokens == found.longest_tokens == found.length.max()
    edges = (64, 256)
    shares = [survey_.as_json(edges) | {"corpus": "", "unreadable": 0} for survey_ in (found, of_run)]
    assert shares[0] == shares[1]


def test_records_may_call_their_fields_otherwise(tmp_path, tokenizer):
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps({"content": "a b", "subset": domain}) for domain in ("up", "down", "up")))
    found = survey([str(path)], tokenizer, "text=content,domain=subset")
    assert found.domains == ("down", "up")
    assert np.bincount(found.domain).tolist() == [1, 2]
    with pytest.raises(RecipeError, match="none of 3 records has a text; name its field"):
        survey([str(path)], tokenizer)


@pytest.mark.parametrize(
    ("fields", "message"),
    [("txt=a", "'txt' is no field of a document; did you mean 'text'"), ("text", "not of the form text=NAME")],
)
def test_wrong_fields_are_named(raw, tokenizer, fields, message):
    with pytest.raises(RecipeError, match=message):
        survey([raw], tokenizer, fields)


def test_arguments_that_cannot_be_followed(tmp_path, raw, tokenizer):
    run = RunFolder(str(tmp_path / "run"))
    write_bucketed(run, {"web": [10, 5000]}, (4096,))
    for arguments, message in (
        (([raw],), "raw files need --tokenizer"),
        (([raw], "nowhere.json"), "'nowhere.json' does not exist"),
        (([raw], raw + "/read.me"), "not a tokenizer.json"),
        (([raw + "/read.me"], tokenizer), "ends in none of"),
        (([raw + "/nothing"], tokenizer), "no file ending in"),
        (([run.uri, raw],), "give a run alone"),
        (([run.uri], tokenizer), "leave --tokenizer and --fields out"),
    ):
        with pytest.raises(RecipeError, match=message):
            survey(*arguments)


def test_the_command_prints_two_tables_or_json(tmp_path):
    run = RunFolder(str(tmp_path / "run"))
    write_bucketed(run, {"web": [10, 5000], "books": [40_000]}, (4096,))
    text = CliRunner().invoke(app, ["lengths", run.uri, "--step", "4096"])
    assert text.exit_code == 0
    assert "share of documents, %" in text.stdout
    assert "longest document: 40,000 tokens" in text.stdout
    found = json.loads(CliRunner().invoke(app, ["lengths", run.uri, "--edges", "4K,32K", "--json"]).stdout)
    assert found["classes"] == ["0-4K", "4K-32K", "32K+"]
    assert found["domains"]["web"]["tokens"] == [10, 5000, 0]
    assert isinstance(CliRunner().invoke(app, ["lengths", run.uri, "--edges", "x"]).exception, RecipeError)


def _recipe(raw: str, tokenizer: str) -> str:
    return f"""
name: raw
sources:
  - {{name: a, kind: jsonl, domain: web, paths: ["{raw}/web"]}}
  - {{name: b, kind: parquet, domain: web, paths: ["{raw}/web"]}}
  - {{name: c, kind: text, domain: books, paths: ["{raw}/books"]}}
  - {{name: d, kind: jsonl, domain: letters, paths: ["{raw}/letters.jsonl"]}}
tokenizer: {{path: "{tokenizer}", eos: null}}
ingest: {{max_quarantined_share: 0.5}}
dedupe: {{exact: false, near: null, containment: null}}
engine: {{backend: serial}}
"""
