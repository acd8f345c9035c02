"""From a place in the plan to the row that stands there: any pack, at random, straight from mapped shards.

A shard's tokens are compared with their checksum when the reader first touches it. That reads each shard once from
front to back (about 10 GB/s where it is in memory), and because every stratum is drawn forward it is also the
read-ahead for what comes next: a few shards are in use at a time.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt
import xxhash

from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError
from lc_data.packing.fill import Pack, PackPieces, fill_pack
from lc_data.packing.plan import PlanBlock

Verify = Literal["checksum", "size"]


class PackReader:
    """Random access to the packs of one plan. Instances can be pickled: another process opens its own maps."""

    def __init__(self, run: RunFolder, purpose: str, verify: Verify = "checksum") -> None:
        self.plan = PackPlan.open(run, purpose)
        self.corpus = TokenizedCorpus.open(run)
        self._verify = verify
        self._has_spans: dict[int, bool] = {}
        """For each shard touched so far, whether any of its documents has target spans."""

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_has_spans": {}}

    @property
    def fingerprint(self) -> str:
        """What the corpus is: a hash over the checksums of its shards, in order, and of its tokenizer."""
        return fingerprint([self.corpus.tokenizer.hash, [entry.checksum for entry in self.corpus.shards]])

    def read(self, pack: int) -> Pack:
        """One pack of the plan.

        Raises IndexError outside the plan, ``TokenizedError`` that names a shard which is not what its manifest says,
        and ``PlanError`` for a changed plan.
        """
        pieces = self.plan.pieces(pack)
        documents = pieces.document.tolist()
        has_spans = [self._touch(self.corpus.locate(document)[0]) for document in documents]
        tokens = [
            self.corpus.tokens(document, start, length)
            for document, start, length in zip(documents, pieces.start.tolist(), pieces.length.tolist(), strict=True)
        ]
        spans = [self.corpus.target_spans(document) for document in documents] if any(has_spans) else None
        return fill_pack(self._with_domains(pieces), tokens, spans, self.plan.seq_len, self.corpus.tokenizer.pad_id)

    def _with_domains(self, pieces: PlanBlock) -> PackPieces:
        return PackPieces(
            document=pieces.document,
            start=pieces.start,
            length=pieces.length,
            part=pieces.part,
            span=pieces.span,
            domain=self.corpus.domain[pieces.document],
        )

    def _touch(self, number: int) -> bool:
        """Open a shard and check it once; whether any of its documents has target spans."""
        known = self._has_spans.get(number)
        if known is not None:
            return known
        shard = self.corpus.shard(number)
        if self._verify == "checksum":
            _check_tokens(shard.uri, shard.tokens, shard.metadata.token_checksum)
        column = shard.batch["target_spans"]
        known = self._has_spans[number] = column.null_count < len(column)
        return known


def _check_tokens(uri: str, tokens: npt.NDArray[Any], expected: str) -> None:
    found = xxhash.xxh3_128_hexdigest(tokens.data)
    if found != expected:
        raise TokenizedError(
            f"{uri} changed on disk: its tokens have checksum {found}, expected {expected}; "
            "restore it, or run `lc-data bucket` again"
        )
