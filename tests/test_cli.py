"""The command line as a person or a machine calls it: what it prints, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from lc_data import cli
from lc_data.corpus import storage
from tests.small_corpus import published_bytes, small_recipe_text, write_small_corpus


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of ``lc-data ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["lc-data", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    write_small_corpus(folder / "corpus")
    (folder / "small.yaml").write_text(small_recipe_text(folder / "corpus"))
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def packed(recipe: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, "run", recipe, "--out", recipe.parent / "run", "--to", "pack") == 0
    return recipe.parent / "run"


def test_help_names_every_command(monkeypatch, capsys):
    assert call(monkeypatch, "--help") == 0
    printed = capsys.readouterr().out
    for command in (
        "run",
        "ingest",
        "pack",
        "pretrain",
        "sft",
        "evaluate",
        "report",
        "verify",
        "trace",
        "export",
        "bench",
        "doctor",
    ):
        assert command in printed


def test_a_second_run_says_that_all_is_up_to_date(monkeypatch, capsys, recipe, packed):
    capsys.readouterr()
    assert call(monkeypatch, "run", recipe, "--out", packed, "--to", "pack", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [step["name"] for step in printed["steps"]] == ["ingest", "filter", "dedupe", "bucket", "balance", "pack"]
    assert not any(step["ran"] for step in printed["steps"])


def test_one_stage_brings_what_it_needs_up_to_date(monkeypatch, capsys, recipe, tmp_path):
    assert call(monkeypatch, "filter", recipe, "--out", tmp_path / "run") == 0
    assert sorted(path.parent.name for path in (tmp_path / "run").glob("*/manifest.json")) == ["filter", "ingest"]
    assert "ran in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "no-such-recipe"], "there is no recipe 'no-such-recipe'"),
        (["run", "RECIPE", "--to", "pak"], "--to 'pak' is not a step; did you mean 'pack'?"),
        (["run", "RECIPE", "-o", "pack.seqlen=8"], "pack.seqlen: unknown key; did you mean 'seq_len'?"),
        (["run", "RECIPE", "-o", "sources.books.paths=[/no/such/place]"], "/no/such/place"),
        (["run", "RECIPE", "-o", "tokenizer={path: /no/tokenizer.json}"], "/no/tokenizer.json"),
        (["run", "RECIPE", "-o", "filter.rules=[{rule: datatrove, block: C4Qualty}]"], "C4Qualty"),
        (["run", "RECIPE", "-o", "filter.rules=[{rule: language, model: /no/model}]"], "/no/model"),
        (["bench", "strem"], "did you mean 'stream'?"),
        (["trace", "runs/none"], "exactly one of --pack N and --document ID"),
        (["run"], "Missing argument"),
    ],
)
def test_a_wrong_recipe_or_argument_ends_with_2_before_any_work(
    monkeypatch, capsys, recipe, tmp_path, arguments, message
):
    monkeypatch.chdir(tmp_path)
    given = [str(recipe) if argument == "RECIPE" else argument for argument in arguments]
    if arguments[0] == "run" and len(arguments) > 1:
        given += ["--out", str(tmp_path / "run")]
    assert call(monkeypatch, *given) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.rglob("*.json"))


def test_a_mixture_that_cannot_be_met_ends_with_2_and_names_its_numbers(monkeypatch, capsys, recipe, packed, tmp_path):
    assert call(monkeypatch, "run", recipe, "--out", tmp_path / "run", "-o", "mixture.budget_tokens=900000000") == 2
    assert "cannot be met" in (printed := capsys.readouterr().err)
    assert "books" in printed
    assert not (tmp_path / "run" / "balance" / "manifest.json").exists()


def test_a_full_disk_ends_with_1_and_the_next_run_completes(monkeypatch, capsys, recipe, packed, tmp_path):
    create, written = storage.create, []

    @contextmanager
    def full(uri: str):
        written.append(uri)
        if len(written) > 3 and uri.endswith(".arrow"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), uri)
        with create(uri) as file:
            yield file

    with monkeypatch.context() as patch:
        patch.setattr(storage, "create", full)
        assert call(patch, "run", recipe, "--out", tmp_path / "run", "--to", "pack") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.tmp-*"))
    assert call(monkeypatch, "run", recipe, "--out", tmp_path / "run", "--to", "pack") == 0
    assert published_bytes(tmp_path / "run") == published_bytes(packed)


def test_verify_passes_a_whole_run_and_names_what_is_damaged(monkeypatch, capsys, recipe, tmp_path):
    run = tmp_path / "run"
    assert call(monkeypatch, "run", recipe, "--out", run, "--to", "filter") == 0
    capsys.readouterr()
    assert call(monkeypatch, "verify", run, "--json") == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    victim = next((run / "filter" / "shards").iterdir())
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    assert call(monkeypatch, "verify", run) == 1
    assert victim.name in capsys.readouterr().out


def test_trace_goes_from_pack_to_document_and_back(monkeypatch, capsys, packed):
    assert call(monkeypatch, "trace", packed, "--pack", 0, "--json") == 0
    pack = json.loads(capsys.readouterr().out)
    document = pack["pieces"][0]["document_id"]
    assert call(monkeypatch, "trace", packed, "--document", document, "--json") == 0
    assert 0 in {sighting["pack"] for sighting in json.loads(capsys.readouterr().out)["sightings"]}
    assert call(monkeypatch, "trace", packed, "--document", "nobody") == 1


def test_report_writes_its_four_files(monkeypatch, capsys, packed):
    assert call(monkeypatch, "report", packed, "--json") == 0
    paths = json.loads(capsys.readouterr().out)
    names = ["DATASET_CARD.md", "croissant.json", "index.html", "report.json"]
    assert sorted(Path(path).name for path in paths.values()) == names
    assert all(Path(path).stat().st_size for path in paths.values())


def test_report_of_two_runs_is_what_differs(monkeypatch, capsys, packed, tmp_path):
    assert call(monkeypatch, "report", packed, packed, "--out", tmp_path / "both", "--json") == 0
    paths = json.loads(capsys.readouterr().out)
    assert sorted(Path(path).name for path in paths.values()) == ["comparison.json", "index.html"]
    assert all(Path(path).parent == tmp_path / "both" for path in paths.values())
    assert call(monkeypatch, "report", packed, "--out", tmp_path / "one") == 2
    assert "needs two runs" in capsys.readouterr().err


def test_doctor_tells_machines_what_it_tells_people(monkeypatch, capsys):
    assert call(monkeypatch, "doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cores"] >= 1
    assert call(monkeypatch, "doctor") == 0
    assert "cores" in capsys.readouterr().out


def test_export_writes_rows_and_then_has_nothing_to_do(monkeypatch, capsys, packed, tmp_path):
    for _ in range(2):
        assert call(monkeypatch, "export", packed, tmp_path / "out", "--to", "mds", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert {file["file"] for file in said["files"]} == {"index.json", "part-00000.mds"}
    assert call(monkeypatch, "export", packed, tmp_path / "out", "--to", "msd") == 2
    assert "did you mean 'mds'" in capsys.readouterr().err


def test_rope_judges_a_base_by_both_rules(monkeypatch, capsys):
    assert call(monkeypatch, "rope", "--to", "32768", "--new-base", "320000") == 0
    assert "The rules disagree" in capsys.readouterr().out
    assert call(monkeypatch, "rope", "--to", "32768", "--new-base", "320000", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fits"] == {"critical_dimension": True, "bounds": False}
    assert call(monkeypatch, "rope", "--to", "1024") == 2
