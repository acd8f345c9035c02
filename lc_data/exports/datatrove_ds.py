"""datatrove's ``.ds`` files, as nanotron reads them: tokens, document ends, and where the loss counts.

Its readers cut windows of ``seq_len + 1`` tokens, so that inputs and shifted labels have ``seq_len``; windows of our
rows are met with a reader's ``seq_len`` of one less than ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from lc_data.corpus import storage
from lc_data.exports.format import Format, Header, documents, targets
from lc_data.packing.fill import Pack


class DatatroveDs(Format):
    """``part-00000.ds`` (uint16 or uint32), ``part-00000.ds.index`` (uint64) and ``part-00000.ds.loss`` (bool), ..."""

    name: ClassVar[str] = "datatrove"
    carries_labels: ClassVar[bool] = True
    bytes_per_token: ClassVar[int] = 5

    def write(self, rows: Iterable[Pack], shard_uri: str, header: Header) -> list[str]:
        """Write a shard; every piece of a document counts as one, padding included."""
        names = [f"{shard_uri}.ds", f"{shard_uri}.ds.index", f"{shard_uri}.ds.loss"]
        dtype = np.uint16 if header.token_dtype == np.uint16 else np.uint32
        ends, written = [], 0
        with storage.create(names[0]) as tokens, storage.create(names[2]) as loss:
            for row in rows:
                tokens.write(row.input_ids.astype(dtype).tobytes())
                loss.write(targets(row).tobytes())
                ends.append(documents(row).cu_seqlens[1:].astype(np.uint64) + np.uint64(written))
                written += header.seq_len
        with storage.create(names[1]) as index:
            index.write(np.concatenate(ends).tobytes())
        return names
