"""From the pieces of one pack and their tokens to the arrays a model is trained on.

Boundaries come from the plan's lengths, never from looking for an end-of-document token: a text may contain one. Whole
numpy operations over the row cost about as much as copying its tokens, so no compiled kernel is needed at training
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

IGNORED = -100
"""The label that a loss skips (the convention of torch and Hugging Face)."""

PADDING = -1
"""document, part and domain id of the padding segment."""


@dataclass(frozen=True)
class PackPieces:
    """The pieces of one pack in their order; arrays of equal length [n_pieces]."""

    document: np.ndarray
    start: np.ndarray
    length: np.ndarray
    part: np.ndarray
    span: np.ndarray
    domain: np.ndarray


@dataclass(frozen=True)
class Pack:
    """One row of exactly seq_len tokens with its boundaries.

    A segment is an attention span: one piece, or several that share a span (its ids are then those of its first
    piece). Padding, if any, is the last segment. labels are unshifted: labels[i] is input_ids[i] or -100.
    """

    input_ids: np.ndarray
    """int64 [seq_len]"""
    labels: np.ndarray
    """int64 [seq_len]; -100 at the first token of each segment, at padding and at tokens that are no target"""
    position_ids: np.ndarray
    """int64 [seq_len]; restarts at 0 in each segment"""
    cu_seqlens: np.ndarray
    """int32 [n_segments + 1]; from 0 to seq_len"""
    max_seqlen: int
    """length of the longest segment, padding included, as varlen attention needs it"""
    document_ids: np.ndarray
    """int64 [n_segments]; -1 for padding"""
    part_ids: np.ndarray
    """int64 [n_segments]; -1 for padding"""
    domain_ids: np.ndarray
    """int64 [n_segments]; -1 for padding"""


def fill_pack(
    pieces: PackPieces,
    tokens: Sequence[np.ndarray],
    target_spans: Sequence[np.ndarray | None] | None,
    seq_len: int,
    pad_id: int,
) -> Pack:
    """Fill one row.

    tokens[i] holds exactly piece i's tokens (start to start + length of its document), of any integer type.
    target_spans[i] is an integer array [n, 2] of (start, end) token positions within piece i's *document* where the
    loss counts, or None where all of it counts; target_spans=None says so of every piece.

    Raises ValueError when the pieces do not fit seq_len, when a token view has another length than its piece, or when
    the pieces of a span are not neighbours.
    """
    lengths = np.asarray(pieces.length, np.int64)
    used = _check(pieces, lengths, tokens, seq_len)
    input_ids = np.empty(seq_len, np.int64)
    if len(tokens):
        np.concatenate(tokens, out=input_ids[:used])
    input_ids[used:] = pad_id

    begins = np.concatenate(([0], np.cumsum(lengths)))
    opens = np.flatnonzero(np.diff(np.asarray(pieces.span, np.int64), prepend=-1))
    ends = [used, seq_len] if used < seq_len else [seq_len]
    cu_seqlens = np.concatenate((begins[opens], np.array(ends, np.int64)))
    sizes = np.diff(cu_seqlens)

    labels = input_ids.copy()
    if target_spans is not None:
        labels[:used][~_target_mask(pieces, begins, target_spans)] = IGNORED
    labels[cu_seqlens[:-1]] = IGNORED
    labels[used:] = IGNORED

    padding = [PADDING] * (used < seq_len)
    return Pack(
        input_ids=input_ids,
        labels=labels,
        position_ids=np.arange(seq_len) - np.repeat(cu_seqlens[:-1], sizes),
        cu_seqlens=cu_seqlens.astype(np.int32),
        max_seqlen=int(sizes.max()),
        document_ids=np.append(pieces.document[opens], padding).astype(np.int64),
        part_ids=np.append(pieces.part[opens], padding).astype(np.int64),
        domain_ids=np.append(pieces.domain[opens], padding).astype(np.int64),
    )


def _check(pieces: PackPieces, lengths: np.ndarray, tokens: Sequence[np.ndarray], seq_len: int) -> int:
    used = int(lengths.sum())
    if seq_len < 1 or used > seq_len:
        raise ValueError(f"the pieces of this pack hold {used} tokens, seq_len is {seq_len}: plan and seq_len differ")
    if [len(view) for view in tokens] != lengths.tolist():
        raise ValueError("token views and pieces differ in length: these are not the shards that were planned")
    if len(lengths) and lengths.min() < 1:
        raise ValueError("a piece of a pack is empty: plans never hold empty pieces")
    if np.any(np.diff(np.asarray(pieces.span, np.int64)) < 0) or np.any(np.asarray(pieces.span) < 0):
        raise ValueError("span ids must be non-negative and must not decrease inside a pack")
    return used


def _target_mask(pieces: PackPieces, begins: np.ndarray, target_spans: Sequence[np.ndarray | None]) -> np.ndarray:
    """Boolean [used]: True where some target span covers the token; spans may overlap or lie outside the piece."""
    used = int(begins[-1])
    change = np.zeros(used + 1, np.int64)
    for i, spans in enumerate(target_spans):
        length = int(pieces.length[i])
        if spans is None:
            inside = np.array([[0, length]])
        else:
            inside = np.clip(np.asarray(spans, np.int64).reshape(-1, 2) - int(pieces.start[i]), 0, length)
        np.add.at(change, begins[i] + inside[:, 0], 1)
        np.add.at(change, begins[i] + inside[:, 1], -1)
    return np.cumsum(change[:-1]) > 0
