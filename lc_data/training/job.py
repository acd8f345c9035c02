"""One training, as pretraining and SFT describe it to the loop, and what a run holds for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.run import RunFolder
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.packing import Positions
from lc_data.recipe.training import SftSection, TrainSection
from lc_data.streaming.dataset import PackedDataset
from lc_data.training.batch import BatchShape
from lc_data.training.config import ModelConfig
from lc_data.training.context import check_context
from lc_data.training.schedule import Schedule, plan_schedule
from lc_data.training.weights import WeightReader

_WITHOUT_EFFECT = {
    "activation_checkpointing", "checkpoint", "compile", "context_parallel", "metrics", "processes",
}  # fmt: skip
"""Keys of a section that change how a training is done and not what comes of it, but for the order of sums."""


class PackStream(Protocol):
    """What the loop needs of :class:`lc_data.streaming.dataset.PackedDataset`."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Packs of this rank, from the current state on."""

    def state_at(self, consumed: int) -> dict[str, Any]:
        """The state when so many packs have been consumed over all ranks."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state, saved with any number of ranks."""


@dataclass(frozen=True)
class TrainingJob:
    """Everything that decides what a training does."""

    kind: str
    """``pretrain`` or ``sft``: the folder of the run that it writes, and the purpose of its plan."""
    folder: Path
    section: TrainSection
    config: ModelConfig
    read_weights: WeightReader
    open_stream: Callable[[int, int], PackStream]
    """From (rank, world size) to this rank's stream."""
    packs: int
    """Packs of the plan."""
    seq_len: int
    origin: dict[str, Any] = field(default_factory=dict)
    """What the data and the first weights come from: hashes and seeds, for the fingerprint."""
    positions: Positions = "reset"
    """How the plan counts positions."""
    tokenizer_uri: str | None = None
    """Copied beside the exported weights."""
    domains: tuple[str, ...] = ()
    """Domain names; a domain's code is its place."""
    stages: Mapping[str, int] = field(default_factory=dict)
    """The pack with which each stage of the mixture begins."""
    long_documents: Callable[[int, int], list[Tensor]] = field(default=lambda length, count: [])
    """From (tokens, documents) to held-out documents of at least so many tokens, and at most so many of them."""

    @property
    def packs_per_step(self) -> int:
        """Packs in one optimizer step over all ranks."""
        return self.section.batch_tokens // self.seq_len

    @property
    def steps(self) -> int:
        """Optimizer steps: what the section asks for, or the plan's whole batches where those are fewer."""
        wanted = self.section.steps
        if self.section.total_tokens is not None:
            wanted = max(1, self.section.total_tokens // self.section.batch_tokens)
        available = self.packs // self.packs_per_step
        return available if wanted is None else min(wanted, available)

    def schedule(self) -> Schedule:
        """The phases of the learning rate; raises :class:`RecipeError` when they do not fit the plan."""
        return plan_schedule(self.section.schedule, self.steps, self.stages, self.packs_per_step, self.kind)

    def batch_shape(self, streams: int) -> BatchShape:
        """What is taken to a step from one of so many parts of the stream."""
        loss = self.section.loss if isinstance(self.section, SftSection) else "token_mean"
        return BatchShape(self.packs_per_step // streams, self.seq_len, self.positions, loss)

    def identity(self) -> dict[str, Any]:
        """What the result depends on. How many processes train, and how often they save, is not in it."""
        section = self.section.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
        return {"section": section, "config": asdict(self.config), "seq_len": self.seq_len, "origin": self.origin}

    def fingerprint(self) -> str:
        """The hash of :meth:`identity`."""
        return fingerprint(self.identity())

    def check(self, world_size: int) -> None:
        """Raise :class:`RecipeError` when ranks, batch, plan and schedule do not fit together."""
        shared = self.section.context_parallel
        if world_size % shared:
            raise RecipeError(f"{self.kind}.context_parallel is {shared}, which does not divide {world_size} processes")
        check_context(shared, self.config, self.seq_len, self.kind)
        row = self.seq_len * (world_size // shared)
        if self.section.batch_tokens % row:
            fitting = max(1, self.section.batch_tokens // row) * row
            raise RecipeError(
                f"{self.kind}.batch_tokens is {self.section.batch_tokens}; it must be a multiple of pack.seq_len "
                f"({self.seq_len}) x {world_size // shared} processes = {row}: for example {fitting}"
            )
        if self.steps == 0:
            raise RecipeError(
                f"{self.kind}: the plan has {self.packs} packs of {self.seq_len} tokens, less than one batch of "
                f"{self.section.batch_tokens} tokens; lower {self.kind}.batch_tokens or add data"
            )
        self.schedule()


@dataclass(frozen=True)
class PackedCorpus:
    """What a run's manifests say about one of its plans and the corpus under it."""

    packs: int
    seq_len: int
    plan_hash: str
    positions: Positions
    """How the rows count them: ``pack.positions``."""
    vocab_size: int
    """Highest token id + 1."""
    domains: tuple[str, ...]
    """Domain names; a domain's code is its place."""
    tokenizer_uri: str
    stages: dict[str, int]
    """The pack with which each stage of the plan's mixture begins."""


def read_packed_corpus(run_uri: str, purpose: str) -> PackedCorpus:
    """The plan ``pretrain``, ``sft`` or ``held_out`` of a run.

    Raises ``ManifestError`` for a run that has not been packed, ``PlanError`` where it has no such plan.
    """
    run = RunFolder(run_uri)
    plan = PackPlan.open(run, purpose)
    bucket = run.stage("bucket")
    facts = bucket.manifest().facts
    return PackedCorpus(
        packs=plan.packs,
        seq_len=plan.seq_len,
        plan_hash=plan.plan_hash,
        positions=plan.facts.positions,
        vocab_size=facts["tokenizer"]["vocab_size"],
        domains=tuple(facts["domains"]),
        tokenizer_uri=bucket.file(facts["tokenizer"]["file"]),
        stages={stage.name: stage.first_pack for stage in plan.facts.stages},
    )


def held_out_documents(run_uri: str) -> Callable[[int, int], list[Tensor]]:
    """A reader of a run's held-out documents by length and number: those of the first rows that hold one."""

    def read(tokens: int, count: int) -> list[Tensor]:
        if "held_out" not in RunFolder(run_uri).stage("pack").manifest().facts.get("plans", {}):
            return []
        found: list[Tensor] = []
        for pack in PackedDataset(run_uri, plan="held_out", prefetch=0):
            borders = pack.get("piece_cu_seqlens", pack["cu_seqlens"]).tolist()
            parts = pack.get("piece_part_ids", pack["part_ids"]).tolist()
            for first, end, part in zip(borders, borders[1:], parts, strict=False):
                if end - first >= tokens and part == 0:  # a document's beginning, and no padding
                    found.append(pack["input_ids"][first:end])
            if len(found) >= count:
                break
        return found[:count]

    return read


def training_folder(run_uri: str, kind: str) -> Path:
    """The local folder that a training writes; raises :class:`RecipeError` for a run on an object store."""
    if not storage.is_local(run_uri):
        raise RecipeError(f"training writes to a file system, and the run is at {run_uri}: copy it, or mount it")
    return storage.local_path(run_uri) / kind
