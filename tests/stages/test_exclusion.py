from __future__ import annotations

from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.exclusion import ExclusionSection
from lc_data.recipe.load import load_recipe
from lc_data.stages import bucket, dedupe, ingest
from lc_data.stages import filter as filter_
from lc_data.stages.exclusion import find_excluded
from tests.small_corpus import small_recipe_text, write_small_corpus


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("exclusion")
    write_small_corpus(folder / "corpus")
    (folder / "small.yaml").write_text(small_recipe_text(folder / "corpus"))
    made = RunFolder(str(folder / "run"))
    for module in (ingest, filter_, dedupe, bucket):
        bring_up_to_date(module.STAGE, load_recipe(str(folder / "small.yaml"), []), made, SerialBackend())
    return made


def documents(run: RunFolder, stage: str) -> dict[str, str]:
    """The source of each document of a stage, by id."""
    import pyarrow as pa

    folder = run.stage(stage)
    tables = [pa.ipc.open_file(folder.file(entry.file)).read_all() for entry in folder.manifest().shards]
    return {row["id"]: row["source"] for table in tables for row in table.select(["id", "source"]).to_pylist()}


def test_a_source_is_all_that_came_from_it_or_from_below_it(run: RunFolder) -> None:
    corpus, kept = TokenizedCorpus.open(run), documents(run, "dedupe")
    source = next(iter(kept.values()))
    folder = str(Path(source).parent)
    for wanted, matches in ((source, source.__eq__), (folder, lambda name: name.startswith(folder + "/"))):
        found = find_excluded(run, corpus, ExclusionSection(sources=(wanted,)))
        assert {corpus.document_id(int(number)) for number in found} == {
            document for document, name in kept.items() if matches(name)
        }
    with pytest.raises(RecipeError, match="no document of this run came from '/nowhere'"):
        find_excluded(run, corpus, ExclusionSection(sources=("/nowhere",)))


def test_a_document_that_was_dropped_may_be_excluded(run: RunFolder) -> None:
    dropped = sorted(set(documents(run, "ingest")) - set(documents(run, "dedupe")))
    assert dropped
    assert not len(find_excluded(run, TokenizedCorpus.open(run), ExclusionSection(ids=(dropped[0],))))
