"""From the layout of one row and its pieces' tokens to the arrays a model is trained on.

Boundaries come from the plan's lengths, never from looking for an end-of-document token: a text may contain one. Whole
numpy operations over the row cost about as much as copying its tokens, so no compiled kernel is needed at training
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lc_data.packing.layout import PADDING, RowLayout

IGNORED = -100
"""The label that a loss skips (the convention of torch and Hugging Face)."""

_FEW_STRETCHES = 64
"""Up to so many, counting each by itself is faster than one subtraction over the row, which costs the same for any."""


@dataclass(frozen=True)
class RowPieces:
    """Where the documents lie in a row whose attention does not keep them apart; padding, if any, is the last piece."""

    cu_seqlens: np.ndarray
    """int32 [n_pieces + 1]; from 0 to seq_len"""
    document_ids: np.ndarray
    """int64 [n_pieces]; -1 for padding"""
    part_ids: np.ndarray
    """int64 [n_pieces]; -1 for padding"""
    domain_ids: np.ndarray
    """int64 [n_pieces]; -1 for padding"""


@dataclass(frozen=True)
class Pack:
    """One row of exactly seq_len tokens with its boundaries.

    Segments are those of :class:`RowLayout`. labels are unshifted: labels[i] is input_ids[i] or -100. The arrays are
    the row's own: nothing else sees what is done to them.
    """

    input_ids: np.ndarray
    """int64 [seq_len]"""
    labels: np.ndarray
    """int64 [seq_len]; -100 at the first token of each segment, at padding and at tokens that are no target"""
    position_ids: np.ndarray
    """int64 [seq_len]; restarts at 0 in each segment, or in each piece, or at padding alone, as the plan says; where
    rows have an anchor, at 1 in each segment but the anchor's and the padding's"""
    cu_seqlens: np.ndarray
    """int32 [n_segments + 1]; from 0 to seq_len"""
    max_seqlen: int
    """length of the longest segment, padding included, as varlen attention needs it"""
    document_ids: np.ndarray
    """int64 [n_segments]; -1 for padding, -2 for an anchor"""
    part_ids: np.ndarray
    """int64 [n_segments]; the same"""
    domain_ids: np.ndarray
    """int64 [n_segments]; the same"""
    pack_index: int
    """place in the plan"""
    pieces: RowPieces | None = None
    """for a plan without masks"""


def fill_pack(
    row: RowLayout, tokens: Sequence[np.ndarray], target_spans: Sequence[np.ndarray | None] | None, pad_id: int
) -> Pack:
    """Fill one row.

    tokens[i] holds exactly piece i's tokens (start to start + length of its document), of any integer type.
    target_spans[i] is an integer array [n, 2] of (start, end) token positions within piece i's *document* where the
    loss counts, or None where all of it counts; target_spans=None says so of every piece.

    Raises ValueError when a token view has another length than its piece.
    """
    used, lead = row.used, int(row.anchor_id is not None)
    input_ids, labels, position_ids = np.empty((3, row.seq_len), np.int64)
    _lay_tokens(row, tokens, pad_id, input_ids)
    labels[:] = input_ids
    if target_spans is not None:
        labels[lead:used][~_target_mask(row, used - lead, target_spans)] = IGNORED
    cu_seqlens = row.cu_seqlens.copy()
    labels[cu_seqlens[:-1]] = IGNORED
    labels[used:] = IGNORED
    _count_positions(row.counted, position_ids)
    if row.first_position:
        position_ids[lead:used] += row.first_position
    document_ids, part_ids, domain_ids = row.ids.copy()
    return Pack(
        input_ids,
        labels,
        position_ids,
        cu_seqlens,
        row.max_seqlen,
        document_ids,
        part_ids,
        domain_ids,
        row.pack_index,
        None if row.piece_ids is None else _pieces(row, row.piece_ids),
    )


def fill_tokens(row: RowLayout, tokens: Sequence[np.ndarray], pad_id: int) -> np.ndarray:
    """Return the tokens alone of one row, int32 [seq_len]; the arguments are those of :func:`fill_pack`."""
    input_ids = np.empty(row.seq_len, np.int32)
    _lay_tokens(row, tokens, pad_id, input_ids)
    return input_ids


def _lay_tokens(row: RowLayout, tokens: Sequence[np.ndarray], pad_id: int, input_ids: np.ndarray) -> None:
    if [len(view) for view in tokens] != row.length:
        raise ValueError("token views and pieces differ in length: these are not the shards that were planned")
    if tokens:
        np.concatenate(tokens, out=input_ids[int(row.anchor_id is not None) : row.used])
    if row.anchor_id is not None:
        input_ids[0] = row.anchor_id
    input_ids[row.used :] = pad_id


def _pieces(row: RowLayout, ids: np.ndarray) -> RowPieces:
    padding = [row.seq_len - row.used] if row.used < row.seq_len else []
    borders = np.cumsum([0, *row.length, *padding]).astype(np.int32)
    return RowPieces(borders, *np.hstack((ids, np.full((3, len(padding)), PADDING, np.int64))))


def _count_positions(stretches: list[int], position_ids: np.ndarray) -> None:
    """Count from 0 in each stretch."""
    ascending = _ascending(len(position_ids))
    if len(stretches) <= _FEW_STRETCHES:
        np.concatenate([ascending[:length] for length in stretches], out=position_ids)
        return
    lengths = np.array(stretches)
    np.subtract(ascending, np.repeat(np.cumsum(lengths) - lengths, lengths), out=position_ids)


@lru_cache(maxsize=4)
def _ascending(length: int) -> np.ndarray:
    counted = np.arange(length)
    counted.flags.writeable = False
    return counted


def _target_mask(row: RowLayout, tokens: int, target_spans: Sequence[np.ndarray | None]) -> np.ndarray:
    """Boolean [tokens], of all pieces: True where a target span covers the token; spans may overlap or lie outside."""
    change = np.zeros(tokens + 1, np.int64)
    begin = 0
    for start, length, spans in zip(row.start, row.length, target_spans, strict=True):
        if spans is None:
            inside = np.array([[0, length]])
        else:
            inside = np.clip(np.asarray(spans, np.int64).reshape(-1, 2) - start, 0, length)
        np.add.at(change, begin + inside[:, 0], 1)
        np.add.at(change, begin + inside[:, 1], -1)
        begin += length
    return np.cumsum(change[:-1]) > 0
