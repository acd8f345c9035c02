"""A bucket stage with an index and no documents: all that balance and pack read.

Planning reads seven bytes a document and never a token, so what is true of an estimated corpus, of a thinned one or of
one that is only numbers is found out by the very stages that would plan a real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry, Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized_writer import write_columns, write_index


@dataclass(frozen=True)
class Index:
    """The documents of a corpus as planning sees them, by stratum; arrays [n]."""

    length: npt.NDArray[np.uint32]
    domain: npt.NDArray[np.uint16]
    bucket: npt.NDArray[np.uint8]
    columns: Mapping[str, npt.NDArray[np.float32]]

    def thin(self, divisor: int) -> Index:
        """Every ``divisor``-th document; strata lie together, so each is thinned alike."""
        columns = {name: values[::divisor] for name, values in self.columns.items()}
        return Index(self.length[::divisor], self.domain[::divisor], self.bucket[::divisor], columns)


def publish_index(run: RunFolder, index: Index, facts: Mapping[str, Any]) -> None:
    """Publish an index as the bucket stage of a run. ``facts`` are those of such a stage: domains, edges, tokenizer."""
    folder, domains = run.stage("bucket").uri, facts["domains"]
    ledger = Ledger()
    documents = np.bincount(index.domain, minlength=len(domains)).tolist()
    tokens = np.bincount(index.domain, weights=index.length, minlength=len(domains)).tolist()
    for domain, count, total in zip(domains, documents, tokens, strict=True):
        ledger.come_in(domain, count, 0, int(total))
        ledger.keep(domain, count, 0, int(total))
    extra = [write_index(folder, index.length, index.domain, index.bucket)]
    if index.columns:
        columns = {name: pa.array(values, from_pandas=True) for name, values in index.columns.items()}
        extra.append(write_columns(folder, columns))
    rows = len(index.length)
    there = FileEntry(file="shards/none.arrow", rows=rows, bytes=0, checksum="", facts={"first_document": 0})
    manifest = Manifest(
        stage="bucket", fingerprint="0" * 32, shards=[there] if rows else [], extra=extra, ledger=ledger, seed=0,
        facts=dict(facts),
    )  # fmt: skip
    write_manifest(run.stage("bucket").manifest_uri, manifest)
