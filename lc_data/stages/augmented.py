"""What packing draws where a part was transformed: around what was taken, and derived documents instead of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lc_data.corpus.derived import derived_from
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.mixing.continued import Stream
from lc_data.mixing.stream import DocumentStream
from lc_data.packing.planner import Draw
from lc_data.stages.augment.stage import DRAWN_FILE, INTERVALS_FILE
from lc_data.stages.augment.taking import Interval
from lc_data.stages.purposes import Supply


@dataclass(frozen=True)
class Augmented:
    """What the stage augment took of the streams, and what is drawn instead."""

    supply: Supply
    intervals: Mapping[tuple[int, int], Interval]
    """By stage of the mixture and stratum."""
    taken_documents: np.ndarray
    """Documents in the intervals, int64 [n_strata]."""
    stage: np.ndarray
    """Of each document drawn instead, [n]."""
    document: np.ndarray
    """int64 [n]"""

    def redraw(self, stages: list[list[Draw]]) -> list[list[Draw]]:
        """Return the draws of each mixture stage without what was taken, and with what is drawn instead."""
        drawn = []
        for number, draws in enumerate(stages):
            around = [part for draw in draws for part in self._around(number, draw)]
            drawn.append([part for part in around if part.tokens] + self._instead(number))
        return drawn

    def planned(self, planned: np.ndarray) -> np.ndarray:
        """Return the tokens of each mixture stage and stratum, int64 [n_stages, n_strata], as they are now."""
        now = planned.copy()
        for (stage, stratum), interval in self.intervals.items():
            now[stage, stratum] -= interval.high - interval.low
        np.add.at(now, (self.stage, self._strata), self.supply.trainable[self.document].astype(np.int64))
        return now

    def documents(self) -> np.ndarray:
        """Return how many more documents of each stratum there are now, int64 [n_strata]."""
        return np.bincount(self._strata, minlength=self.supply.n_strata) - self.taken_documents

    @property
    def _strata(self) -> np.ndarray:
        return self.supply.stratum[self.document]

    def _around(self, stage: int, draw: Draw) -> list[Draw]:
        interval = self.intervals.get((stage, draw.domain * self.supply.n_buckets + draw.bucket))
        if interval is None:
            return [draw]
        end = draw.begin + draw.tokens
        return [
            replace(draw, tokens=interval.low - draw.begin),
            replace(draw, begin=interval.high, tokens=end - interval.high),
        ]

    def _instead(self, stage: int) -> list[Draw]:
        mine = self.stage == stage
        strata, documents = self._strata[mine], self.document[mine]
        draws = []
        for number in np.unique(strata).tolist():
            chosen = documents[strata == number]
            stream = DocumentStream.of(chosen, self.supply.trainable[chosen], self.supply.packing.row_tokens)
            draws.append(Draw(stream, stream.tokens, number // self.supply.n_buckets, number % self.supply.n_buckets))
        return draws


def read_augmented(run: RunFolder, supply: Supply, streams: Mapping[int, Stream]) -> Augmented:
    """Read what the stage has left; ``supply`` sees derived documents."""
    folder = run.stage("augment")
    intervals, taken = {}, np.zeros(supply.n_strata, np.int64)
    for row in read_table(folder.file(INTERVALS_FILE)).to_pylist():
        stratum = supply.domains.index(row["domain"]) * supply.n_buckets + row["bucket"]
        intervals[row["stage"], stratum] = Interval(row["stage"], stratum, row["low"], row["high"])
        stream = streams[stratum]
        taken[stratum] += stream.documents_before(row["high"]) - stream.documents_before(row["low"])
    drawn = read_table(folder.file(DRAWN_FILE))
    stage, document = (drawn[name].to_numpy() for name in ("stage", "document"))
    return Augmented(supply, intervals, taken, stage.astype(np.int64), document)


def with_derived(run: RunFolder, corpus: TokenizedCorpus, excluded: np.ndarray) -> np.ndarray:
    """Return excluded documents, int64, with the derived ones that hold a part of one of them."""
    marks = np.zeros(corpus.document_count, bool)
    marks[excluded] = True
    return np.union1d(excluded, derived_from(run, run.stage("augment").manifest(), marks))
