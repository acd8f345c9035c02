"""The bytes of an Arrow text column, without copying them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def text_buffers(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The UTF-8 bytes of a column of texts and the offsets of its rows: uint8[size], int64[rows + 1].

    Takes ``large_string`` or ``string`` arrays, sliced or not, without nulls. Row ``i`` is
    ``data[offsets[i]:offsets[i + 1]]``; ``large_string`` columns are not copied.
    """
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    if not pa.types.is_large_string(column.type):
        raise TypeError(f"a column of {column.type} holds no text; large_string or string is needed")
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} texts are null")
    _, offset_buffer, data_buffer = column.buffers()
    if len(column) == 0 or data_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data_buffer, np.uint8), offsets


def each_text(column: pa.Array) -> Iterator[npt.NDArray[np.uint8]]:
    """The UTF-8 bytes of each row."""
    data, offsets = text_buffers(column)
    for start, end in itertools.pairwise(offsets):
        yield data[start:end]


def as_text(text: str) -> npt.NDArray[np.uint8]:
    """The UTF-8 bytes of one string, in the form that the kernels take."""
    return np.frombuffer(text.encode(), np.uint8)
