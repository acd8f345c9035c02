"""Which documents a later search leaves out, because it is settled that they go: one bit for each document.

A billion documents take 125 MB; their numbers in a list took 8 GB where all were settled, and each join looked its keys
up in it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.scratch import pick_batches, write_batches

_SCHEMA = pa.schema([("bits", pa.uint8())])


class Settled:
    """The documents that go, by number: bit ``d % 8`` of byte ``d // 8``."""

    def __init__(self, documents: int) -> None:
        """Of so many documents none is settled."""
        self.bits = np.zeros((documents + 7) // 8, np.uint8)

    def settle(self, documents: npt.NDArray[np.int64]) -> None:
        """Documents go; some may have been settled before."""
        np.bitwise_or.at(self.bits, documents >> 3, np.left_shift(1, documents & 7).astype(np.uint8))

    def holds(self, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each of some documents is settled."""
        return (self.bits[documents >> 3] >> (documents & 7).astype(np.uint8) & 1).astype(bool)

    def write(self, uri: str) -> None:
        """Write the bits for tasks to read."""
        write_batches(uri, _SCHEMA, [pa.RecordBatch.from_arrays([pa.array(self.bits)], schema=_SCHEMA)])


def read_bits(uri: str) -> npt.NDArray[np.uint8]:
    """The bits that were written, mapped where the storage can."""
    (batch,) = pick_batches(uri, [0])
    bits: npt.NDArray[np.uint8] = batch.column("bits").to_numpy()
    return bits
