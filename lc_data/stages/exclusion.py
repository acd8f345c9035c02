"""From what a recipe excludes to document numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.exclusion import ExclusionSection

_SHOWN = 10
"""Unknown ids that an error lists."""


def check_exclusion(section: ExclusionSection) -> None:
    """Raise RecipeError for a file of ids that is not there."""
    if section.ids_file is not None and not storage.exists(section.ids_file):
        raise RecipeError(f"exclude.ids_file: there is no file {section.ids_file}")


def find_excluded(run: RunFolder, corpus: TokenizedCorpus, section: ExclusionSection) -> npt.NDArray[np.int64]:
    """Return the numbers of the excluded documents that are in the corpus, ascending, int64.

    Raises RecipeError for ids and sources that the run never had.
    """
    if section.is_empty:
        return np.empty(0, np.int64)
    ids = pa.array(sorted(_ids(section) | _ids_of_sources(run, section.sources)), pa.string())
    found, numbers = [], []
    for shard, entry in enumerate(corpus.shards):
        column = corpus.shard(shard).batch["id"]
        rows = np.flatnonzero(pc.is_in(column, ids))
        numbers.append(entry.facts["first_document"] + rows.astype(np.int64))
        found.append(column.take(pa.array(rows)))
    unknown = ids.filter(pc.invert(pc.is_in(ids, pa.concat_arrays(found)))) if found else ids
    if len(unknown):
        _check_known(run, unknown)
    return np.sort(np.concatenate(numbers)) if numbers else np.empty(0, np.int64)


def _ids(section: ExclusionSection) -> set[str]:
    ids = set(section.ids)
    if section.ids_file is not None:
        lines = storage.read_bytes(section.ids_file).decode("utf-8").split("\n")
        ids |= {line.strip() for line in lines} - {""}
    return ids


def _ids_of_sources(run: RunFolder, sources: tuple[str, ...]) -> set[str]:
    """The ids of all documents that came from these sources; RecipeError for one that none came from."""
    ids: set[str] = set()
    unknown = set(sources)
    for table in _documents(run, ["id", "source"]) if sources else ():
        for source in sources:
            below = pc.starts_with(table["source"], source.rstrip("/") + "/")
            mine = table["id"].filter(pc.or_(pc.equal(table["source"], source), below)).to_pylist()
            ids |= set(mine)
            if mine:
                unknown.discard(source)
    if unknown:
        raise RecipeError(f"exclude.sources: no document of this run came from {', '.join(map(repr, sorted(unknown)))}")
    return ids


def _check_known(run: RunFolder, unknown: pa.Array) -> None:
    """Raise RecipeError for ids that ingest never gave out; those that another stage dropped are fine."""
    for table in _documents(run, ["id"]):
        unknown = unknown.filter(pc.invert(pc.is_in(unknown, table["id"].combine_chunks())))
        if not len(unknown):
            return
    shown = ", ".join(repr(value) for value in unknown[:_SHOWN].to_pylist())
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    raise RecipeError(
        f"exclude: the run never had {len(unknown)} of these documents: {shown}{more}; an id is what the documents' "
        "`id` column and `lc-data trace RUN --pack N` call it"
    )


def _documents(run: RunFolder, columns: list[str]) -> Iterator[pa.Table]:
    """Columns of all documents that ingest took in, shard by shard; nothing where the run no longer has them."""
    folder = run.stage("ingest")
    if not folder.is_published():
        return
    for entry in folder.manifest().shards:
        with storage.map_input(folder.file(entry.file)) as source:
            yield pa.ipc.open_file(source).read_all().select(columns)
