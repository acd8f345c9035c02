"""From tokens back to text: the document that a tokenised one was made from, and the bytes that some tokens stand for.

Byte ranges are not stored: they would cost more than the tokens themselves, and are asked for rarely. They are derived
by tokenising the document again, and given only when that yields the stored tokens, so they are never a guess.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.tokenized import TokenizerInfo


@dataclass(frozen=True)
class ByteRange:
    """Bytes ``start`` to ``end`` (exclusive) of something's UTF-8."""

    start: int
    end: int


@dataclass(frozen=True)
class Part:
    """A named piece of a joined document: a file of a repository, a message of a dialogue."""

    source: str
    bytes: ByteRange
    """In the document's text."""


@dataclass(frozen=True)
class Origin:
    """A document as the last stage before tokenising passed it on."""

    source: str
    text: str
    parts: tuple[Part, ...]


def find_origins(run: RunFolder, ids: Collection[str]) -> dict[str, Origin]:
    """The documents with these ids, by id, from the shards that ``bucket`` read; those not found are left out.

    Only ids are read of batches that hold none of them. A machine that has no more than the packed corpus has no
    origins: the result is then empty.
    """
    stage = run.stage(next(iter(run.stage("bucket").manifest().upstream), "dedupe"))
    if not stage.is_published():
        return {}
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, Origin] = {}
    for entry in stage.manifest().shards:
        if len(found) == len(wanted):
            break
        found |= _find_in_shard(stage, entry.file, wanted)
    return found


def map_bytes(
    origin: Origin, tokens: npt.NDArray[np.integer], tokenizer: Tokenizer, info: TokenizerInfo
) -> list[ByteRange] | None:
    """The bytes of the text that each token stands for, to whole characters; BOS and EOS stand for none.

    None when the text does not give these tokens (it was tokenised in another way than as a whole).
    """
    encoding = tokenizer.encode(origin.text, add_special_tokens=False)
    bos = [] if info.bos_id is None else [info.bos_id]
    eos = [] if info.eos_id is None else [info.eos_id]
    if [*bos, *encoding.ids, *eos] != tokens.tolist():
        return None
    code_points = np.frombuffer(origin.text.encode("utf-32-le"), np.uint32)
    widths = 1 + (code_points >= 0x80).astype(np.int64) + (code_points >= 0x800) + (code_points >= 0x10000)
    place = [0, *np.cumsum(widths).tolist()]
    inside = [ByteRange(place[start], place[end]) for start, end in encoding.offsets]
    return [ByteRange(0, 0) for _ in bos] + inside + [ByteRange(place[-1], place[-1]) for _ in eos]


def load_tokenizer(run: RunFolder, info: TokenizerInfo) -> Tokenizer:
    """The tokenizer that a corpus was made with, set as ``bucket`` sets it: control tokens in a text are text."""
    tokenizer = Tokenizer.from_str(storage.read_bytes(run.stage("bucket").file(info.file)).decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _find_in_shard(stage: StageFolder, file: str, wanted: pa.Array) -> dict[str, Origin]:
    uri = stage.file(file)
    found = {}
    with storage.map_input(uri) as source, storage.map_input(uri) as again:
        ids = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=[0]))
        whole = pa.ipc.open_file(again)
        for number in range(ids.num_record_batches):
            rows = np.flatnonzero(pc.is_in(ids.get_batch(number)["id"], wanted))
            if len(rows):
                for row in whole.get_batch(number).take(pa.array(rows)).to_pylist():
                    found[row["id"]] = Origin(row["source"], row["text"], tuple(map(_part, row["parts"] or ())))
    return found


def _part(row: dict) -> Part:
    return Part(row["source"], ByteRange(row["offset"], row["offset"] + row["length"]))
