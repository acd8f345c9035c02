"""Which part of the sources a plan reads: pieces of every file, as the readers can cut them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lc_data.corpus.readers.kinds import read_input
from lc_data.corpus.readers.record import Document
from lc_data.forecast import reading
from lc_data.forecast.reading import Reading, choose_reading
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe

ROWS = [{"id": f"{number}", "text": f"document {number} " + "x" * (number * 37 % 400)} for number in range(4000)]
SOURCES = {
    "lines": "{{kind: jsonl, paths: ['{folder}/lines.jsonl']}}",
    "packed": "{{kind: jsonl, paths: ['{folder}/packed.jsonl.gz']}}",
    "groups": "{{kind: parquet, paths: ['{folder}/groups.parquet']}}",
    "files": "{{kind: text, paths: ['{folder}/files']}}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    lines = "\n".join(map(json.dumps, ROWS)).encode()
    (folder / "lines.jsonl").write_bytes(lines)
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(lines, 1))
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "groups.parquet", row_group_size=20, compression="none")
    (folder / "files").mkdir()
    for row in ROWS[:400]:
        (folder / "files" / f"{row['id']}.txt").write_text(row["text"])
    return folder


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LEAST_PIECE", 500)


def recipe(folder: Path, *names: str) -> Recipe:
    sources = ", ".join(f"{SOURCES[name].format(folder=folder)[:-1]}, name: {name}, domain: {name}}}" for name in names)
    return parse_recipe(f"{{name: r, sources: [{sources}], tokenizer: {{train: {{}}}}}}")


def read_ids(chosen: Reading) -> list[int]:
    """The numbers of all documents that the plans give."""
    found = []
    for plan in chosen.plans:
        for part in plan.inputs:
            for record in read_input(part, plan.source, 1 << 20):
                assert isinstance(record, Document)
                found.append(int(record.text.decode().split()[1]))
    return found


def test_a_small_corpus_is_read_whole(folder: Path) -> None:
    chosen = choose_reading(recipe(folder, *SOURCES))
    assert chosen.is_whole
    assert set(chosen.factors.values()) == {1.0}
    assert len(read_ids(chosen)) == 3 * len(ROWS) + 400
    assert not chosen.beginnings


@pytest.mark.parametrize("name", ["lines", "groups", "files"])
def test_pieces_are_spread_over_a_large_source(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = choose_reading(recipe(folder, name)).total_bytes
    monkeypatch.setattr(reading, "WHOLE_BYTES", whole // 5)
    chosen = choose_reading(recipe(folder, name))
    assert 0.15 < chosen.read_bytes / whole < 0.3
    assert chosen.factors[name] == pytest.approx(whole / chosen.read_bytes)
    numbers = read_ids(chosen)
    assert len(numbers) == len(set(numbers))
    total = 400 if name == "files" else len(ROWS)
    assert len(numbers) == pytest.approx(total / chosen.factors[name], rel=0.2)
    eighths = {number * 8 // total for number in numbers}
    assert eighths == set(range(8))


def test_of_large_compressed_lines_the_beginning_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = choose_reading(recipe(folder, "packed")).total_bytes
    monkeypatch.setattr(reading, "WHOLE_BYTES", whole // 5)
    chosen = choose_reading(recipe(folder, "packed"))
    assert chosen.beginnings == 1
    assert chosen.factors["packed"] == pytest.approx(5, rel=0.1)
    numbers = read_ids(chosen)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) == pytest.approx(len(ROWS) / 5, rel=0.3)


def test_a_source_too_small_to_cut_is_read_whole_beside_a_large_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "few.jsonl").write_text("\n".join(map(json.dumps, ROWS[:20])))
    monkeypatch.setitem(SOURCES, "few", "{{kind: jsonl, paths: ['{folder}/few.jsonl']}}")
    monkeypatch.setattr(reading, "WHOLE_BYTES", 100_000)
    chosen = choose_reading(recipe(folder, "lines", "few"))
    assert chosen.factors["few"] == 1
    assert chosen.factors["lines"] > 4
