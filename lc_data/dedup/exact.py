"""Equality of texts by xxh3-128 after white space is normalised.

Normalised means: every run of white space becomes one space, and none is left at either end. Nothing else is changed:
case, punctuation and Unicode form carry meaning in code and formulas, and what differs in them is the business of the
near-duplicate search.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from lc_data.text.buffers import each_text
from lc_data.text.characters import SPACE, character_classes
from lc_data.text.compile import Bytes, kernel
from lc_data.text.words import code_point


def exact_hashes(text: pa.Array) -> npt.NDArray[np.uint64]:
    """The xxh3-128 of each normalised text as two words, the high one first: uint64[rows, 2]."""
    classes = character_classes()
    digests = bytearray()
    for row in each_text(text):
        normal = np.empty(len(row), np.uint8)
        size = normalise_space(row, classes, normal)
        digests += xxhash.xxh3_128_digest(normal[:size].data)
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)


@kernel
def normalise_space(text: Bytes, classes: Bytes, out: Bytes) -> int:
    """Write the text with single spaces into ``out``, which is as long as the text; returns the bytes written."""
    at, size = 0, 0
    pending = False
    while at < len(text):
        point, width = code_point(text, at)
        if classes[point] & SPACE:
            pending = size > 0
        else:
            if pending:
                out[size] = 0x20
                size += 1
                pending = False
            for byte in range(width):
                out[size + byte] = text[at + byte]
            size += width
        at += width
    return size
