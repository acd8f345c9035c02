"""The sampling plan as others read it: the table that pack draws by, and the facts that reports show.

Every stratum has one stream for the whole run; a stage draws from where the one before stopped. So the draw of a stage
is the difference of two places in the stream, each the piece end nearest to what was wanted up to there, and what is
rounded in one stage is made good in the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.mixing.continued import Stream
from lc_data.mixing.mixture import MixturePlan
from lc_data.mixing.sampling import SAMPLING_SCHEMA, tokens_by_repeat
from lc_data.mixing.strata import Strata, long_buckets
from lc_data.recipe.mixture import MixtureSection
from lc_data.recipe.packing import PackSection


@dataclass(frozen=True)
class SamplingPlan:
    """What one purpose draws; arrays [n_domains, n_buckets], those of ``planned`` [n_stages, ...]."""

    purpose: str
    domains: Sequence[str]
    edges_tokens: Sequence[int]
    everything: Strata
    """All documents of the purpose."""
    held_out: Strata
    available: Strata
    """What can be drawn: without held-out documents, those not eligible, and untrainable tokens."""
    stages: Sequence[MixturePlan]
    planned: npt.NDArray[np.int64]
    """Tokens drawn in each stage, whole pieces, repeats included."""
    kept: npt.NDArray[np.int64]
    """Tokens of packs that are kept of an earlier plan, [n_domains, n_buckets]."""

    def to_table(self) -> pa.Table:
        """Return the rows of ``sampling.arrow``, by stage, then by domain and bucket."""
        places = np.flatnonzero(self.everything.documents.ravel())
        there = self.available.tokens.ravel()[places]
        domain, bucket = np.divmod(places, self.available.n_buckets)
        tables = [SAMPLING_SCHEMA.empty_table()]
        for number, (stage, drawn) in enumerate(zip(self.stages, self.planned, strict=True)):
            planned = drawn.ravel()[places]
            columns = {
                "purpose": [self.purpose] * len(places),
                "stage": np.full(len(places), number, np.uint16),
                "domain": [self.domains[row] for row in domain],
                "bucket": bucket.astype(np.uint8),
                "documents": self.everything.documents.ravel()[places],
                "tokens": self.everything.tokens.ravel()[places],
                "held_out_documents": self.held_out.documents.ravel()[places],
                "held_out_tokens": self.held_out.tokens.ravel()[places],
                "available_tokens": there,
                "wanted_share": stage.wanted_share.ravel()[places],
                "wanted_tokens": stage.wanted_tokens.ravel()[places],
                "planned_tokens": planned,
                "rate": planned / np.maximum(there, 1),
                "bound": stage.bound.ravel()[places].tolist(),
            }
            tables.append(pa.table(columns, SAMPLING_SCHEMA))
        return pa.concat_tables(tables)

    def describe(self, mixture: MixtureSection, packing: PackSection) -> dict[str, Any]:
        """Sum up for reports: the run as a whole by domain, and each of its stages.

        Shares are of the tokens of the run or the stage; epochs are tokens drawn by tokens available; from_step counts
        optimizer steps of global_batch_packs rows, to the nearest.
        """
        facts: dict[str, Any] = self._describe_whole()
        facts["stages"], begin = [], 0
        sections = [section for _, section in mixture.resolved_stages()]
        for stage, drawn, section in zip(self.stages, self.planned, sections, strict=True):
            step = packing.row_tokens * packing.global_batch_packs
            facts["stages"].append({
                "name": stage.name,
                "from_token": begin,
                "from_step": round(begin / step),
                "budget_tokens": stage.budget_tokens,
                "planned_tokens": int(drawn.sum()),
                "domains": {name: self._describe_domain(stage, drawn, row) for row, name in self._present()},
                "long": self._describe_long(drawn, section),
            })  # fmt: skip
            begin += int(drawn.sum())
        return facts

    def _present(self) -> list[tuple[int, str]]:
        return [(row, name) for row, name in enumerate(self.domains) if self.everything.documents[row].any()]

    def _describe_whole(self) -> dict[str, Any]:
        planned, budget = self.planned.sum(axis=0), sum(stage.budget_tokens for stage in self.stages)
        wanted = np.sum([stage.wanted_share * (stage.budget_tokens / budget) for stage in self.stages], axis=0)
        total = max(int(planned.sum()), 1)
        domains = {}
        for row, name in self._present():
            seen: list[int] = []
            in_all = (planned + self.kept)[row].tolist()
            for there, drawn in zip(self.available.tokens[row].tolist(), in_all, strict=True):
                repeats = tokens_by_repeat(there, drawn)
                seen += [0] * (len(repeats) - len(seen))
                for repeat, tokens in enumerate(repeats):
                    seen[repeat] += tokens
            domains[name] = {
                "wanted_share": float(wanted[row].sum()),
                "planned_tokens": int(planned[row].sum()),
                "planned_share": int(planned[row].sum()) / total,
                "held_out_tokens": int(self.held_out.tokens[row].sum()),
                "available_tokens": int(self.available.tokens[row].sum()),
                "tokens_by_repeat": seen,
            }
        return {"planned_tokens": int(planned.sum()), "domains": domains}

    def _describe_domain(self, stage: MixturePlan, drawn: npt.NDArray[np.int64], row: int) -> dict[str, Any]:
        tokens, there = int(drawn[row].sum()), int(self.available.tokens[row].sum())
        return {
            "asked_share": float(stage.asked_share[row].sum()),
            "wanted_share": float(stage.wanted_share[row].sum()),
            "planned_share": tokens / max(int(drawn.sum()), 1),
            "planned_tokens": tokens,
            "epochs": tokens / max(there, 1),
            "most_epochs": float((drawn[row] / np.maximum(self.available.tokens[row], 1)).max()),
            "bound": sorted({reason for reason in stage.bound[row].tolist() if reason}),
        }

    def _describe_long(self, drawn: npt.NDArray[np.int64], mixture: MixtureSection) -> dict[str, Any] | None:
        """Describe the long share before and after mixing; None where the threshold is no bucket edge."""
        threshold = mixture.lengths.threshold_tokens
        if threshold not in self.edges_tokens:
            return None
        long = long_buckets(self.edges_tokens, threshold)
        shares = {
            name: float(tokens[:, long].sum() / max(int(tokens.sum()), 1))
            for name, tokens in (("before", self.available.tokens), ("after", drawn))
        }
        return {"threshold_tokens": threshold, **shares}


def draw_stages(
    streams: Mapping[int, Stream], stages: Sequence[MixturePlan], shape: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """Return the tokens that each stage draws of each stratum, int64 [n_stages, *shape]: whole pieces."""
    wanted = np.cumsum([stage.wanted_tokens.ravel() for stage in stages], axis=0)
    ends = np.zeros_like(wanted)
    for number, stream in streams.items():
        ends[:, number] = [stream.nearest_end(tokens) for tokens in wanted[:, number].tolist()]
    return np.diff(ends, axis=0, prepend=0).reshape(len(stages), *shape)
