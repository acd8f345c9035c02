"""What an experiment found: scores by arm and seed, and the verdicts on its claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lc_data.experiments.experiment import Arm, Experiment, Size
from lc_data.experiments.verdict import Judgement, Scores, Verdict, combine, judge
from lc_data.experiments.workshop import Measured


@dataclass(frozen=True)
class ArmResult:
    """One arm under every seed."""

    name: str
    what: str
    tokens: int
    """That each seed trained on."""
    scores: tuple[Scores, ...]
    shares: Mapping[str, float]
    """Domain: share of the tokens of its plan; empty where it trained on none."""
    long_share: float | None
    """Of the tokens of its plan, those of documents from the size's threshold on."""

    def values(self, measure: str) -> list[float]:
        """A measure by seed; empty where it was not measured."""
        return [one.values[measure] for one in self.scores if measure in one.values]

    def mean(self, measure: str) -> float | None:
        """Over the seeds."""
        values = self.values(measure)
        return sum(values) / len(values) if values else None

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "name": self.name,
            "what": self.what,
            "tokens": self.tokens,
            "domain_shares": dict(self.shares),
            "long_share": self.long_share,
            "scores": [dict(one.values) for one in self.scores],
            "errors": [dict(one.errors) for one in self.scores],
        }


@dataclass(frozen=True)
class Result:
    """An experiment that is done."""

    experiment: Experiment
    size_name: str
    arms: tuple[ArmResult, ...]
    judgements: tuple[Judgement, ...]

    @property
    def size(self) -> Size:
        """What it was made at."""
        return self.experiment.size(self.size_name)

    @property
    def verdict(self) -> Verdict:
        """On all claims together: contradicted where one is."""
        return combine([one.verdict for one in self.judgements])

    @property
    def measures(self) -> list[str]:
        """What the table shows, ``*`` written out; those that no arm has are left out."""
        known = list(dict.fromkeys(name for arm in self.arms for one in arm.scores for name in one.values))
        shown: list[str] = []
        for measure in self.experiment.measures:
            stem = measure.removesuffix("*")
            shown += [name for name in known if name == measure or (measure.endswith("*") and name.startswith(stem))]
        return list(dict.fromkeys(shown))

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "experiment": self.experiment.name,
            "title": self.experiment.title,
            "size": self.size_name,
            "seeds": list(self.size.seeds),
            "arm_tokens": self.size.arm_tokens,
            "long_tokens": self.size.long_tokens,
            "verdict": self.verdict,
            "claims": [one.as_json() for one in self.judgements],
            "arms": [arm.as_json() for arm in self.arms],
            "definition": self.experiment.model_dump(mode="json"),
        }


def collect(experiment: Experiment, size_name: str, measured: Mapping[str, Sequence[Measured]]) -> Result:
    """Judge an experiment's claims over what was measured of its arms, in the order of its seeds."""
    table = {name: [one.scores for one in found] for name, found in measured.items()}
    threshold = experiment.size(size_name).threshold_tokens
    arms = tuple(_arm(arm, measured[arm.name], threshold) for arm in experiment.arms)
    return Result(experiment, size_name, arms, tuple(judge(claim, table) for claim in experiment.claims))


def _arm(arm: Arm, found: Sequence[Measured], threshold: int) -> ArmResult:
    plan = found[0]
    total = sum(plan.by_domain.values())
    shares = {domain: tokens / total for domain, tokens in plan.by_domain.items()}
    long = sum(tokens for begin, tokens in plan.by_length.items() if begin >= threshold)
    scores = tuple(one.scores for one in found)
    return ArmResult(arm.name, arm.what, plan.tokens, scores, shares, long / total if total else None)
