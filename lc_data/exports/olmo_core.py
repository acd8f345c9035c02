"""OLMo-core's flat token files, rows end to end, with label masks beside them.

Despite their name the ``.npy`` files have no header: they are mapped as arrays of one dtype. With ``sequence_length``
set to ``seq_len`` a fixed-length dataset over them meets exactly our rows. Boundaries are found from EOS there, so
tokenise with ``tokenizer.eos`` set, and generate document lengths (``generate_doc_lengths``) to have them masked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from lc_data.corpus import storage
from lc_data.exports.format import Format, Header, targets
from lc_data.packing.fill import Pack


class OlmoCore(Format):
    """``part-00000.npy`` (uint16, or uint32 for large vocabularies) and ``part-00000.mask.npy`` (bool), ..."""

    name: ClassVar[str] = "olmo-core"
    carries_labels: ClassVar[bool] = True
    bytes_per_token: ClassVar[int] = 5

    def write(self, rows: Iterable[Pack], shard_uri: str, header: Header) -> list[str]:
        """Write the tokens of a shard, and for each of them whether it is a target."""
        dtype = np.uint16 if header.token_dtype == np.uint16 else np.uint32
        names = [f"{shard_uri}.npy", f"{shard_uri}.mask.npy"]
        with storage.create(names[0]) as tokens, storage.create(names[1]) as mask:
            for row in rows:
                tokens.write(row.input_ids.astype(dtype).tobytes())
                mask.write(targets(row).tobytes())
        return names
