"""One training, as pretraining and SFT describe it to the loop, and what a run holds for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.run import RunFolder
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.packing import Positions
from lc_data.recipe.training import SftSection, TrainSection
from lc_data.training.batch import BatchShape
from lc_data.training.config import ModelConfig
from lc_data.training.weights import WeightReader


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

    def batch_shape(self, world_size: int) -> BatchShape:
        """What one of so many ranks takes to a step."""
        loss = self.section.loss if isinstance(self.section, SftSection) else "token_mean"
        return BatchShape(self.packs_per_step // world_size, self.seq_len, self.positions, loss)

    def identity(self) -> dict[str, Any]:
        """What the result depends on. How many processes train, and how often they save, is not in it."""
        section = self.section.model_dump(mode="json", exclude={"processes", "checkpoint", "activation_checkpointing"})
        return {"section": section, "config": asdict(self.config), "seq_len": self.seq_len, "origin": self.origin}

    def fingerprint(self) -> str:
        """The hash of :meth:`identity`."""
        return fingerprint(self.identity())

    def check(self, world_size: int) -> None:
        """Raise :class:`RecipeError` when a batch does not divide over the ranks or is larger than the plan."""
        row = self.seq_len * world_size
        if self.section.batch_tokens % row:
            fitting = max(1, self.section.batch_tokens // row) * row
            raise RecipeError(
                f"{self.kind}.batch_tokens is {self.section.batch_tokens}; it must be a multiple of pack.seq_len "
                f"({self.seq_len}) x {world_size} processes = {row}: for example {fitting}"
            )
        if self.steps == 0:
            raise RecipeError(
                f"{self.kind}: the plan has {self.packs} packs of {self.seq_len} tokens, less than one batch of "
                f"{self.section.batch_tokens} tokens; lower {self.kind}.batch_tokens or add data"
            )


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
    )


def training_folder(run_uri: str, kind: str) -> Path:
    """The local folder that a training writes; raises :class:`RecipeError` for a run on an object store."""
    if not storage.is_local(run_uri):
        raise RecipeError(f"training writes to a file system, and the run is at {run_uri}: copy it, or mount it")
    return storage.local_path(run_uri) / kind
