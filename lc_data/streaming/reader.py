"""From a place in the plan to the row that stands there: any pack, at random, straight from mapped shards.

Tokens are compared with their checksums before they are served, a megabyte around them at a time: opening a plan of
100 billion tokens costs no more than what its first row touches. Because every stratum is drawn forward, what was
checked along with a document is what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xxhash

from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.plan import PackPlan, PlanError
from lc_data.corpus.run import RunFolder
from lc_data.corpus.token_chunks import ChunkCheck
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError, TokenizedShard
from lc_data.packing.fill import Pack, fill_pack, fill_tokens
from lc_data.packing.layout import BlockLayout, RowLayout
from lc_data.packing.plan import PlanBlock
from lc_data.streaming.copy_ahead import CopyAhead

Verify = Literal["checksum", "size"]

_OPEN_LAYOUTS = 4


@dataclass(frozen=True)
class _OpenBlock:
    """A plan block, and where the document of each of its pieces is."""

    layout: BlockLayout
    shard: list[int]
    row: list[int]
    """in its shard"""


class PackReader:
    """Random access to the packs of one plan. Instances can be pickled: another process opens its own maps."""

    def __init__(self, plan: PackPlan, corpus: TokenizedCorpus, verify: Verify = "checksum") -> None:
        self.plan, self.corpus = plan, corpus
        self._verify = verify
        self._has_spans: dict[int, bool] = {}
        """For each shard touched so far, whether any of its documents has target spans."""
        self._checks: dict[int, ChunkCheck] = {}
        """Of the shards touched so far, those whose tokens are checked as they are read."""
        self._ahead = CopyAhead(corpus) if corpus.is_copied else None
        self._layout = lru_cache(maxsize=_OPEN_LAYOUTS)(self._lay_out)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackReader, (self.plan, self.corpus, self._verify)

    @classmethod
    def open(cls, run: RunFolder, purpose: str, verify: Verify = "checksum") -> PackReader:
        """The packs of a run's plan for a purpose; raises what opening a plan and a corpus raises."""
        return cls(PackPlan.open(run, purpose), TokenizedCorpus.open(run), verify)

    @property
    def fingerprint(self) -> str:
        """What the corpus is: a hash over the checksums of its shards, in order, and of its tokenizer."""
        return fingerprint([self.corpus.tokenizer.hash, [entry.checksum for entry in self.corpus.shards]])

    def read(self, pack: int) -> Pack:
        """One pack of the plan.

        Raises IndexError outside the plan, ``TokenizedError`` that names a shard which is not what its manifest says,
        and ``PlanError`` for a changed plan.
        """
        row, tokens, spans = self._gather(pack)
        return fill_pack(row, tokens, spans, self.corpus.tokenizer.pad_id)

    def read_tokens(self, pack: int) -> npt.NDArray[np.int32]:
        """The tokens alone of one pack, int32 [seq_len]; raises what ``read`` raises."""
        row, tokens, _ = self._gather(pack)
        return fill_tokens(row, tokens, self.corpus.tokenizer.pad_id)

    def _gather(self, pack: int) -> tuple[RowLayout, list[npt.NDArray[Any]], list[npt.NDArray[np.int32] | None] | None]:
        """The layout of a pack and, of each of its pieces, the tokens, checked, and where loss counts, if anywhere."""
        block = self._layout(self.plan.block_of(pack))
        row = block.layout.row(pack)
        shard_of, has_spans, checks = self.corpus.shard, self._has_spans, self._checks
        tokens: list[npt.NDArray[Any]] = []
        spans: dict[int, npt.NDArray[np.int32] | None] = {}
        places = zip(block.shard[row.pieces], block.row[row.pieces], row.start, row.length, strict=True)
        for number, at, start, length in places:
            shard = shard_of(number)
            if number not in has_spans:
                self._touch(number, shard)
            begin = shard.offsets.item(at) + start
            if number in checks:
                self._check(number, shard, begin, begin + length)
            if has_spans[number]:
                spans[len(tokens)] = shard.target_spans(at)
            tokens.append(shard.tokens[begin : begin + length])
        return row, tokens, [spans.get(piece) for piece in range(len(tokens))] if spans else None

    def _check(self, number: int, shard: TokenizedShard, begin: int, end: int) -> None:
        """Compare what holds these tokens of a shard with its checksums; a shard that is wholly compared is let be."""
        check = self._checks[number]
        changed = check.first_changed(shard.tokens, begin, end)
        if changed is not None:
            raise _changed(shard.uri, f"from token {changed} on")
        if check.is_done:
            del self._checks[number]

    def _lay_out(self, number: int) -> _OpenBlock:
        block = self.plan.block(number)
        if self._ahead is not None and number + 1 < len(self.plan.facts.blocks):
            self._ahead.want(self._shards_of(self.plan.block(number + 1)))
        facts = self.plan.facts
        domain = self.corpus.domain[block.document]
        layout = BlockLayout(block, domain, facts.seq_len, facts.mask, facts.positions, facts.anchor_id)
        shard, row = self.corpus.locate_all(block.document)
        _check_ends(block, self.corpus.length[block.document])
        return _OpenBlock(layout, shard.tolist(), row.tolist())

    def _shards_of(self, block: PlanBlock) -> list[int]:
        """The shards that a block reads, in the order in which it comes to them."""
        numbers, _ = self.corpus.locate_all(block.document)
        shards, first = np.unique(numbers, return_index=True)
        return shards[np.argsort(first)].tolist()

    def _touch(self, number: int, shard: TokenizedShard) -> None:
        """Look at a shard for the first time."""
        metadata, first = shard.metadata, self.corpus.shards[number].facts["first_document"]
        if not np.array_equal(np.diff(shard.offsets), self.corpus.length[first : first + len(shard.lengths)]):
            raise _changed(shard.uri, "and its documents have other lengths than the index says")
        if self._verify == "checksum" and metadata.chunk_tokens:
            self._checks[number] = ChunkCheck(metadata.chunk_tokens, metadata.chunk_checksums)
        elif self._verify == "checksum":  # a shard that was written without checksums of its stretches
            found = xxhash.xxh3_128_hexdigest(shard.tokens.data)
            if found != metadata.token_checksum:
                raise _changed(shard.uri, f"which have checksum {found}, expected {metadata.token_checksum}")
        column = shard.batch["target_spans"]
        self._has_spans[number] = column.null_count < len(column)


def _changed(uri: str, where: str) -> TokenizedError:
    return TokenizedError(
        f"{uri} changed on disk: its tokens are not those that were written, {where}; "
        "restore it, or run `lc-data bucket` again"
    )


def _check_ends(block: PlanBlock, length: npt.NDArray[np.uint32]) -> None:
    """Raise :class:`PlanError` where a piece goes beyond its document; ``length`` is that of each piece's document."""
    beyond = np.flatnonzero(block.start + block.length > length)
    if len(beyond):
        first = beyond[0]
        raise PlanError(
            f"pack {block.pack[first]} wants {block.length[first]} tokens from {block.start[first]} on of document "
            f"{block.document[first]}, which has {length[first]}: run `lc-data pack` again"
        )
