"""What a report holds: plain numbers, each counted from what the run has on disk.

``report.json`` is this model as JSON. The page and the dataset card are functions of it alone, so whoever does not
trust a chart, or wants another one, has every number behind it.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lc_data.corpus.ledger import Account
from lc_data.reports.findings import DuplicateClusters, SharedStretches
from lc_data.reports.model import ReportModel
from lc_data.reports.promises import PlanPromises

FORMAT_VERSION = 2


class Example(ReportModel):
    """A document that a rule removed, or input that could not be read."""

    id: str
    """Document id; for quarantined input its file and address."""
    domain: str
    bytes: int
    detail: str | None


class Timing(ReportModel):
    """How long a stage took and how much memory its largest process held."""

    seconds: float
    phases: dict[str, float]
    """Seconds of each phase."""
    peak_rss_bytes: int


class StageBooks(ReportModel):
    """The ledger of one stage, with examples of what it removed."""

    stage: str
    fingerprint: str
    total: Account
    """All domains together."""
    domains: dict[str, Account]
    examples: dict[str, list[Example]]
    """By reason; a few of each."""
    timing: Timing | None
    """None where the run has kept no timing."""


class DomainLengths(ReportModel):
    """Document lengths of one domain."""

    domain: str
    documents: list[int]
    """Per bin of ``Lengths.edges_tokens``."""
    tokens: list[int]
    class_documents: list[int]
    """Per class of ``Lengths.class_edges_tokens``."""
    class_tokens: list[int]
    step_documents: list[int]
    """Per step of ``Lengths.step_edges_tokens``."""
    step_tokens: list[int]
    longest_tokens: int
    median_tokens: int
    """Half of the documents are at least this long."""
    token_median_tokens: int
    """Half of the tokens are in documents of at least this length (the N50 of genome assembly)."""


class Lengths(ReportModel):
    """Lengths of the tokenised corpus, every document once."""

    edges_tokens: list[int]
    """Lower ends of the bins: 0, then powers of two. The last bin has no upper end."""
    class_edges_tokens: list[int]
    """The coarse classes by which long-context reports compare corpora: 0, 4K, 8K, 16K, 32K."""
    step_edges_tokens: list[int]
    """The same range in even steps: 0, 4K, 8K, 12K and so on to 32K, above which all is one."""
    domains: list[DomainLengths]


class PlanDomain(ReportModel):
    """One domain in one plan: what was wanted, and what the plan's pieces hold.

    Nobody weighs held-out documents: in their plan the first three numbers are None.
    """

    domain: str
    available_tokens: int | None
    """Tokens that balance could draw from: without held-out documents and what is over-long."""
    wanted_share: float | None
    """Share of the plan's tokens that the recipe asks for."""
    planned_tokens: int | None
    """What balance decided on, in whole pieces."""
    tokens: int
    """What the plan holds, repeats counted."""
    documents: int
    """Different documents in the plan."""
    most_repeats: int
    """How often the most repeated document begins in the plan."""
    document_tokens: list[int]
    """Tokens in the plan by the length of their document, per bin of ``Lengths.edges_tokens``."""
    step_documents: list[int]
    """Different documents in the plan by their length, per step of ``Lengths.step_edges_tokens``."""
    step_tokens: list[int]
    """Tokens in the plan by the length of their document, per step."""
    context_tokens: list[int]
    """Tokens in the plan by how many tokens of their own document stand before them in their row, per bin."""
    context_sum: int
    """Sum over tokens of that number: divided by ``tokens`` it is the mean context."""


class PlanContent(ReportModel):
    """One plan, counted piece by piece."""

    purpose: str
    plan_hash: str
    seq_len: int
    packs: int
    pieces: int
    tokens: int
    documents_cut: int
    """Documents longer than a row, lying in several pieces; each repeat counts."""
    documents_shortened: int
    """Documents of which the plan's last repeat leaves out the end."""
    pieces_per_pack: list[int]
    """Least, median and most pieces in a row."""
    domains: list[PlanDomain]
    promises: PlanPromises | None
    """None for a plan of an older version of lc_data, which did not write them."""

    @property
    def padding_tokens(self) -> int:
        """Places in rows that hold no token."""
        return self.packs * self.seq_len - self.tokens

    @property
    def fill(self) -> float:
        """Share of the rows' places that hold a token."""
        return self.tokens / (self.packs * self.seq_len) if self.packs else 1.0


class TrainingStep(ReportModel):
    """One optimizer step, or the mean of several that lie side by side."""

    step: int
    loss: float
    learning_rate: float
    tokens_per_second: float


class PositionBucket(ReportModel):
    """Loss per token, in nats, over positions ``first`` to ``last`` of documents."""

    first: int
    last: int
    tokens: int
    nll: float


class LongGain(ReportModel):
    """Nats per token at the beginning and at the end of the same long documents, and at the end from short windows."""

    step: int
    near: float
    far: float
    far_cut: float
    gain: float
    gain_cut: float


class TrainingCost(ReportModel):
    """What the steps of a training cost."""

    label_tokens_per_second: float
    mfu: float | None
    """Share of the devices' peak; None where that is not known."""
    padding_share: float
    loader_wait_share: float
    """Of the time: waiting for packs, on the rank that waited longest."""
    checkpoint_stall_seconds: float
    peak_memory_bytes: int
    rank_imbalance: float
    """Work of the busiest rank by the mean, averaged over steps."""
    skipped_updates: int


class Training(ReportModel):
    """The course of one training."""

    kind: str
    steps: int
    tokens: int
    first_loss: float
    last_loss: float
    seconds: float
    curve: list[TrainingStep]
    cost: TrainingCost
    last_steps: int
    """Steps that the losses by position are of: the last ones."""
    buckets: list[PositionBucket]
    domains: dict[str, list[PositionBucket]]
    gains: list[LongGain]
    """Along the way; empty where no held-out document is long enough."""


class Evaluation(ReportModel):
    """Loss of one checkpoint on held-out documents by position."""

    checkpoint: str
    documents: int
    tokens: int
    nll: float
    buckets: list[PositionBucket]
    domains: dict[str, list[PositionBucket]]
    gain: float | None = None
    """Nats per token gained from long context; None where no held-out document is long enough."""
    gain_cut: float | None = None
    """The same gain of short windows: what of it is not context."""
    cloze: float | None = None
    """Share of the tokens of short held-out documents that are the model's first choice."""


class NeedleGrid(ReportModel):
    """Scores from 0 to 100 by depth, then by length."""

    lengths: list[int]
    depths: list[float]
    cells: list[list[float | None]]
    """None where nothing was asked."""
    columns: list[float]
    """The mean of each length."""


class SuiteScores(ReportModel):
    """The scores of one checkpoint on one suite of tasks, from 0 to 100."""

    checkpoint: str
    suite: str
    convention: str
    tasks: dict[str, float]
    groups: dict[str, float]
    averages: dict[str, float]
    missing: list[str]
    cut: int
    """Prompts that were cut to fit, of all ``predictions``."""
    predictions: int
    grids: dict[str, NeedleGrid]


class Tokenizer(ReportModel):
    """What made tokens of text."""

    name: str
    hash: str
    vocab_size: int


class StageFiles(ReportModel):
    """Files of one kind of record that a stage published."""

    stage: str
    purpose: str | None
    """Of pack, whose plan it is."""
    manifest_sha256: str
    manifest_bytes: int
    pattern: str
    """Below the stage's folder."""
    files: int
    rows: int
    bytes: int


class Transformed(ReportModel):
    """What one transform of the stage augment made."""

    name: str
    taken_documents: int
    """What its share came to; each repeat counts."""
    taken_tokens: int
    source_documents: int
    """Of these, documents that became part of a row; the others share one with none and stayed as they were."""
    source_tokens: int
    made_tokens: int
    """Tokens that come from no document: knots and answers."""
    rows: int
    """Derived documents, each at most a row long."""


class Report(ReportModel):
    """Everything that is reported of a run. Parts whose stage has not been run are empty."""

    format_version: int = FORMAT_VERSION
    name: str
    description: str
    package_version: str
    seed: int
    domains: list[str]
    """All domains, those with most text first."""
    licenses: dict[str, int]
    """Documents by licence after dedupe; the empty name stands for none stated."""
    languages: dict[str, int]
    tokenizer: Tokenizer | None
    stages: list[StageBooks]
    files: list[StageFiles]
    duplicates: DuplicateClusters | None
    shared_stretches: SharedStretches | None
    """None where no evaluation was looked for."""
    lengths: Lengths | None
    plans: list[PlanContent]
    transforms: list[Transformed] = Field(default_factory=list)
    """Empty where nothing was transformed."""
    trainings: list[Training]
    evaluations: list[Evaluation]
    suites: list[SuiteScores] = Field(default_factory=list)
    recipe: dict[str, Any]

    def stage(self, name: str) -> StageBooks | None:
        """The books of a stage, or None when it has not been run."""
        return next((books for books in self.stages if books.stage == name), None)

    def plan(self, purpose: str) -> PlanContent | None:
        """The plan of a purpose, or None when there is none."""
        return next((plan for plan in self.plans if plan.purpose == purpose), None)
