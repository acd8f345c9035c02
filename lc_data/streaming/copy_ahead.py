"""Copying the next block's shards while this one is read: what hides the network from a training step.

A block of 4,096 rows of 32K lasts for hours of training on one GPU, and because every stratum is drawn forward, the
next block needs few shards that this one has not read.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence

from lc_data.corpus.local_copies import CopyError
from lc_data.corpus.tokenized import TokenizedCorpus


class CopyAhead:
    """A thread that makes local copies of the shards that will be wanted, in the order in which they will be.

    It only saves time: what it could not copy, the reader copies when it comes there, and reports.
    """

    def __init__(self, corpus: TokenizedCorpus) -> None:
        self._corpus = corpus
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._stop.set)

    def want(self, shards: Sequence[int]) -> None:
        """Begin to copy these, and give up what was wanted before and is not yet begun."""
        self._stop.set()
        self._stop = threading.Event()
        weakref.finalize(self, self._stop.set)
        self._thread = threading.Thread(
            target=_copy, args=(self._corpus, list(shards), self._stop), name="lc_data-copy-ahead", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait until all that is wanted is copied, or has failed."""
        if self._thread is not None:
            self._thread.join()


def _copy(corpus: TokenizedCorpus, shards: Sequence[int], stop: threading.Event) -> None:
    for shard in shards:
        if stop.is_set():
            return
        try:
            corpus.copy_shard(shard)
        except CopyError:
            return  # the reader meets the same error, at its place
