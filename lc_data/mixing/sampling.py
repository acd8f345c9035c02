"""The sampling plan: what is drawn of each stratum in the end, in whole pieces, and where the rest stays.

A mixture asks for tokens; documents come in pieces. The draw ends at the piece end nearest to what was asked for, so
the plan says to the token what the packs will hold, before one of them is planned.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lc_data.mixing.stream import DocumentStream

SAMPLING_SCHEMA = pa.schema([
    pa.field("purpose", pa.string(), nullable=False),
    pa.field("stage", pa.uint16(), nullable=False),
    pa.field("domain", pa.string(), nullable=False),
    pa.field("bucket", pa.uint8(), nullable=False),
    pa.field("documents", pa.int64(), nullable=False),
    pa.field("tokens", pa.int64(), nullable=False),
    pa.field("held_out_documents", pa.int64(), nullable=False),
    pa.field("held_out_tokens", pa.int64(), nullable=False),
    pa.field("available_tokens", pa.int64(), nullable=False),
    pa.field("wanted_share", pa.float64(), nullable=False),
    pa.field("wanted_tokens", pa.int64(), nullable=False),
    pa.field("planned_tokens", pa.int64(), nullable=False),
    pa.field("rate", pa.float64(), nullable=False),
    pa.field("bound", pa.string(), nullable=False),
])  # fmt: skip
"""One row per stage of the mixture and domain x bucket that has documents. documents, tokens: all there are;
available_tokens: without held-out documents, those that are not eligible and what is over-long, the same in each stage;
wanted_tokens, planned_tokens: what this stage draws, repeats included, from where the stage before stopped; rate:
planned / available, in epochs; bound: what kept the mixture from giving more or less of it (see
:class:`lc_data.mixing.mixture.MixturePlan`), empty where nothing did."""

HELD_OUT_SCHEMA = pa.schema([pa.field("document", pa.int64(), nullable=False)])
"""Document numbers, ascending."""


@dataclass(frozen=True)
class Sample:
    """What is drawn of one stream; in documents and in tokens, n + repeated = drawn + not sampled."""

    documents: int
    """Documents drawn, each repeat counted; one that is drawn in part counts."""
    tokens: int
    repeated_documents: int
    repeated_tokens: int
    unsampled_documents: int
    unsampled_tokens: int


def sample(stream: DocumentStream, wanted_tokens: int) -> Sample:
    """Draw from the beginning of a stream to the piece end nearest to ``wanted_tokens``."""
    tokens = stream.nearest_end(wanted_tokens)
    documents, there = stream.documents_before(tokens), len(stream.ends)
    return Sample(
        documents=documents,
        tokens=tokens,
        repeated_documents=max(0, documents - there),
        repeated_tokens=max(0, tokens - stream.tokens),
        unsampled_documents=max(0, there - documents),
        unsampled_tokens=max(0, stream.tokens - tokens),
    )


def tokens_by_repeat(available_tokens: int, planned_tokens: int) -> list[int]:
    """Return how many tokens are seen for the first time, the second, and so on."""
    full, rest = divmod(planned_tokens, available_tokens) if available_tokens else (0, 0)
    return [available_tokens] * full + [rest] * (rest > 0)
