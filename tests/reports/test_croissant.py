"""The description in Croissant: every path leads to files, every field is a column, every reference has a target."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pytest

from lc_data.corpus.shard import read_table
from lc_data.reports import write_report
from lc_data.reports.croissant import CONFORMS_TO, render_croissant


@pytest.fixture(scope="module")
def description(report) -> dict:
    return json.loads(render_croissant(report))


def test_it_is_a_dataset_of_croissant_1_0(description):
    assert description["conformsTo"] == CONFORMS_TO == "http://mlcommons.org/croissant/1.0"
    assert description["@type"] == "sc:Dataset"
    assert description["@context"]["cr"] == "http://mlcommons.org/croissant/"
    assert [one["@id"] for one in description["recordSet"]] == [
        "documents",
        "tokens",
        "plan-pretrain",
        "plan-sft",
        "plan-held_out",
    ]


def test_paths_lead_to_files_and_fields_to_their_columns(run, description):
    here = Path(run.stage("report").uri)
    sets = {}
    for one in description["distribution"]:
        if one["@type"] == "cr:FileObject":
            content = (here.parent / one["contentUrl"].removeprefix("../")).read_bytes()
            assert one["sha256"] == hashlib.sha256(content).hexdigest()
            assert one["contentSize"] == f"{len(content)} B"
        else:
            sets[one["@id"]] = sorted(here.parent.glob(one["includes"].removeprefix("../")))
            assert one["description"].startswith(f"{len(sets[one['@id']]):,} files with ")
    for records in description["recordSet"]:
        tables = [read_table(str(path)) for path in sets[f"{records['@id']}-files"]]
        assert f"{sum(table.num_rows for table in tables):,} of them" in records["description"]
        for field in records["field"]:
            assert field["source"]["fileSet"]["@id"] in sets
            column = tables[0].schema.field(field["source"]["extract"]["column"]).type
            assert field.get("repeated", False) == pa.types.is_list(column)
            value = column.value_type if pa.types.is_list(column) else column
            assert (field["dataType"] == "sc:Integer") == pa.types.is_integer(value)


def test_ids_are_unique(description):
    fields = [field["@id"] for records in description["recordSet"] for field in records["field"]]
    ids = [one["@id"] for one in (*description["distribution"], *description["recordSet"])] + fields
    assert len(ids) == len(set(ids))


def test_only_licences_that_are_stated_are_named(report, description):
    stated = sorted(name for name in report.licenses if name)
    assert description.get("license", []) == (stated[0] if len(stated) == 1 else stated)
    one = json.loads(render_croissant(report.model_copy(update={"licenses": {"MIT": 3, "": 1}})))
    assert one["license"] == "MIT"
    assert "datePublished" not in one


@pytest.mark.peers
def test_the_library_of_mlcommons_accepts_it(run):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(write_report(run.uri).croissant)
    assert {records.name for records in dataset.metadata.record_sets} >= {"documents", "tokens", "plan-pretrain"}
