"""The kinds of source, each with its reader, and the plan of what one task reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lc_data.corpus.readers import arrow, chat, environment, html, jsonl, parquet, text, tree, warc
from lc_data.corpus.readers.inputs import Input, Listing
from lc_data.corpus.readers.record import Record, Rejection
from lc_data.recipe.sources import IngestSection, Source


@dataclass(frozen=True)
class Reader:
    """What a module of this package offers for its kind of source."""

    list_input: Callable[[Any], Listing]
    """The files of a source; raises ``RecipeError`` when there is nothing."""
    cut: Callable[[Listing, Any, int], Sequence[Input]]
    """(listing, source, task_bytes) -> inputs in the order of the listing."""
    read: Callable[[Input, Any, int], Iterator[Record]]
    """(input, source, max_record_bytes) -> records in the order of the input."""


READERS = {
    "jsonl": Reader(jsonl.list_input, jsonl.cut, jsonl.read),
    "parquet": Reader(parquet.list_input, parquet.cut, parquet.read),
    "arrow": Reader(arrow.list_input, arrow.cut, arrow.read),
    "text": Reader(text.list_input, text.cut, text.read),
    "tree": Reader(tree.list_input, tree.cut, tree.read),
    "html": Reader(html.list_input, html.cut, html.read),
    "warc": Reader(warc.list_input, warc.cut, warc.read),
    "environment": Reader(environment.list_input, environment.cut, environment.read),
    "chat": Reader(chat.list_input, chat.cut, chat.read),
}


@dataclass(frozen=True)
class ReadPlan:
    """What one task reads."""

    key: str
    source: Source
    inputs: tuple[Input, ...]
    limits: IngestSection
    rejections: tuple[Rejection, ...] = ()
    """What listing the source found unusable; the source's first task reports it."""

    @property
    def weight_bytes(self) -> int:
        """Stored bytes, at least one so that every task counts for something."""
        return max(sum(part.weight_bytes for part in self.inputs), 1)


def list_inputs(source: Source) -> Listing:
    """What a source consists of now."""
    return READERS[source.kind].list_input(source)


def identify_inputs(source: Source) -> Sequence[Any]:
    """What the output of a source depends on, as JSON: it changes when an input comes, goes or changes.

    The environment is known by its versions, which takes no listing of its 50,000 files.
    """
    return environment.identify(source) if source.kind == "environment" else list_inputs(source).identity()


def read_input(part: Input, source: Source, max_record_bytes: int) -> Iterator[Record]:
    """The records of one input."""
    return READERS[source.kind].read(part, source, max_record_bytes)


def plan_source(source: Source, listing: Listing, limits: IngestSection) -> list[ReadPlan]:
    """The tasks of a source: its inputs in order, small ones together up to ``task_bytes``."""
    return plan_inputs(source, cut_source(source, listing, limits.task_bytes), listing.rejections, limits)


def cut_source(source: Source, listing: Listing, piece_bytes: int) -> Sequence[Input]:
    """A source's inputs in order, of about ``piece_bytes`` where a file can be cut."""
    return READERS[source.kind].cut(listing, source, piece_bytes)


def plan_inputs(
    source: Source, inputs: Sequence[Input], rejections: Sequence[Rejection], limits: IngestSection
) -> list[ReadPlan]:
    """The tasks that read some inputs of a source, small ones together up to ``task_bytes``."""
    groups = list(_group(inputs, limits.task_bytes)) or [()]
    return [
        ReadPlan(
            key=f"{source.name}-{number:05d}",
            source=source,
            inputs=group,
            limits=limits,
            rejections=tuple(rejections) if number == 0 else (),
        )
        for number, group in enumerate(groups)
    ]


def _group(inputs: Iterable[Input], task_bytes: int) -> Iterator[tuple[Input, ...]]:
    held: list[Input] = []
    weight = 0
    for part in inputs:
        if held and weight + part.weight_bytes > task_bytes:
            yield tuple(held)
            held, weight = [], 0
        held.append(part)
        weight += part.weight_bytes
    if held:
        yield tuple(held)
