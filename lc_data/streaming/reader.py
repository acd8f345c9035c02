"""From a place in the plan to the row that stands there: any pack, at random, straight from mapped shards.

A shard's tokens are compared with their checksum when the reader first touches it. That reads each shard once from
front to back (about 10 GB/s where it is in memory), and because every stratum is drawn forward it is also the
read-ahead for what comes next: a few shards are in use at a time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xxhash

from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError, TokenizedShard
from lc_data.packing.fill import Pack, fill_pack
from lc_data.packing.layout import BlockLayout
from lc_data.packing.plan import PlanBlock
from lc_data.streaming.copy_ahead import CopyAhead

Verify = Literal["checksum", "size"]

_OPEN_LAYOUTS = 4


class PackReader:
    """Random access to the packs of one plan. Instances can be pickled: another process opens its own maps."""

    def __init__(self, plan: PackPlan, corpus: TokenizedCorpus, verify: Verify = "checksum") -> None:
        self.plan, self.corpus = plan, corpus
        self._verify = verify
        self._has_spans: dict[int, bool] = {}
        """For each shard checked so far, whether any of its documents has target spans."""
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
        row = self._layout(self.plan.block_of(pack)).row(pack)
        tokens, spans, has_spans = [], [], False
        for document, start, length in zip(row.document, row.start, row.length, strict=True):
            number, at = self.corpus.locate(document)
            shard = self.corpus.shard(number)
            some_spans = self._has_spans[number] if number in self._has_spans else self._check(number, shard)
            tokens.append(shard.tokens_of(at, start, length))
            spans.append(shard.target_spans(at) if some_spans else None)
            has_spans = has_spans or some_spans
        return fill_pack(row, tokens, spans if has_spans else None, self.corpus.tokenizer.pad_id)

    def _lay_out(self, number: int) -> BlockLayout:
        block = self.plan.block(number)
        if self._ahead is not None and number + 1 < len(self.plan.facts.blocks):
            self._ahead.want(self._shards_of(self.plan.block(number + 1)))
        facts = self.plan.facts
        return BlockLayout(block, self.corpus.domain[block.document], facts.seq_len, facts.mask, facts.positions)

    def _shards_of(self, block: PlanBlock) -> list[int]:
        """The shards that a block reads, in the order in which it comes to them."""
        numbers = self.corpus.shard_numbers(block.document)
        shards, first = np.unique(numbers, return_index=True)
        return shards[np.argsort(first)].tolist()

    def _check(self, number: int, shard: TokenizedShard) -> bool:
        """Check a shard, once; whether any of its documents has target spans."""
        if self._verify == "checksum":
            _check_tokens(shard.uri, shard.tokens, shard.metadata.token_checksum)
        column = shard.batch["target_spans"]
        self._has_spans[number] = column.null_count < len(column)
        return self._has_spans[number]


def _check_tokens(uri: str, tokens: npt.NDArray[Any], expected: str) -> None:
    found = xxhash.xxh3_128_hexdigest(tokens.data)
    if found != expected:
        raise TokenizedError(
            f"{uri} changed on disk: its tokens have checksum {found}, expected {expected}; "
            "restore it, or run `lc-data bucket` again"
        )
