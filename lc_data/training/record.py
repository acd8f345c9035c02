"""What a training leaves in its folder: which job it was, what came of it, and what stood there before."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import difference
from lc_data.failure import Failure
from lc_data.streaming.state import StreamStateError
from lc_data.training.checkpoint import newest_checkpoint, read_state
from lc_data.training.job import TrainingJob
from lc_data.training.metrics import read_metrics
from lc_data.training.model import CausalLM
from lc_data.training.ranks import Ranks
from lc_data.training.weights import export


@dataclass(frozen=True)
class Outcome:
    """What a finished training left, and whether it was trained now."""

    ran: bool
    result: dict[str, Any]
    """The content of ``result.json``."""

    @property
    def summary(self) -> str:
        """One line for people."""
        r = self.result
        losses = " to ".join("none" if r[name] is None else f"{r[name]:.3f}" for name in ("first_loss", "last_loss"))
        return f"{r['steps']:,} steps, {r['tokens']:,} tokens, loss {losses}"


def finished(job: TrainingJob) -> Outcome | None:
    """The outcome of this very job if it has been trained to its end before."""
    path = job.folder / "result.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return Outcome(False, result) if result is not None and result["fingerprint"] == job.fingerprint() else None


@contextmanager
def hold_folder(job: TrainingJob, ranks: Ranks) -> Iterator[None]:
    """Keep the folder to this training while the block runs; all ranks take part.

    A job that is queued again may start while the one before is still saving, and would move its checkpoints aside.

    Raises:
        Failure: on all ranks, when another process trains there.

    """
    with ExitStack() as stack:
        taken = False
        if ranks.is_first:
            job.folder.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(job.folder.with_name(f"{job.folder.name}.lock").open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it whenever a process ends
            except BlockingIOError:
                taken = True
        if ranks.any(taken):
            raise Failure(f"another process trains in {job.folder}: wait until it has ended, or give another run")
        yield


def publish_result(job: TrainingJob, model: CausalLM, ranks: Ranks, steps: int, packs_consumed: int) -> None:
    """Write ``export/`` and then ``result.json``, which says that the training is done; all ranks take part."""
    temporary, final = job.folder / "export.tmp", job.folder / "export"

    def begin() -> None:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()

    def end() -> None:
        if job.tokenizer_uri is not None:
            for config in temporary.rglob("config.json"):  # a folded copy may lie inside
                config.with_name("tokenizer.json").write_bytes(storage.read_bytes(job.tokenizer_uri))
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _write_result(job, steps, packs_consumed)

    ranks.on_first(begin)
    export(model, temporary, ranks.is_first)
    ranks.on_first(end)


def _write_result(job: TrainingJob, steps: int, packs_consumed: int) -> None:
    rows = read_metrics(job.folder / "metrics.jsonl")
    losses = [row["loss"] for row in rows if row["loss"] is not None]  # null: a step whose update was left out
    result = {
        "fingerprint": job.fingerprint(),
        "steps": steps,
        "tokens": steps * job.section.batch_tokens,
        "packs_consumed": packs_consumed,
        "packs_left": job.packs - packs_consumed,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "skipped_updates": rows[-1]["skipped_updates"],
    }
    storage.write_atomic(str(job.folder / "result.json"), json.dumps(result, indent=1).encode() + b"\n")


def open_folder(job: TrainingJob) -> None:
    """Make the folder this job's own: what another job left there is moved aside, with a line on what differs.

    A job on another plan of the same corpus is the same one, and goes on, where the packs that its newest checkpoint
    has consumed are the same in both: documents were taken down, or another mixture follows them.
    """
    record = job.folder / "job.json"
    identity = json.loads(json.dumps(job.identity()))
    if record.exists():
        changes = difference(json.loads(record.read_text(encoding="utf-8")), identity)
        if not changes:
            return
        consumed = _consumed_unchanged(job) if all(change.startswith("origin.plan: ") for change in changes) else None
        if consumed is not None:
            print(f"{job.kind} goes on with a new plan: its first {consumed} packs are the same", file=sys.stderr)
        else:
            aside = _move_aside(job)
            print(f"{job.kind} starts anew ({'; '.join(changes)}); what was there is in {aside}", file=sys.stderr)
    storage.write_atomic(str(record), json.dumps(identity, indent=1).encode() + b"\n")


def _consumed_unchanged(job: TrainingJob) -> int | None:
    """The packs that the newest checkpoint has consumed, if the job's plan holds the same there, otherwise None."""
    path = newest_checkpoint(job.folder / "checkpoints")
    if path is None:
        return None
    stream = read_state(path)["stream"]
    try:
        job.open_stream(0, 1).load_state_dict(stream)
    except StreamStateError as error:
        print(f"{job.kind} cannot go on: {error}", file=sys.stderr)
        return None
    return int(stream["consumed"])


def _move_aside(job: TrainingJob) -> Path:
    """Move all that stands in the folder to a new one below ``previous/``, and return it."""
    previous = job.folder / "previous"
    aside = previous / f"{len(list(previous.glob('*'))) + 1:03d}"
    aside.mkdir(parents=True)
    for path in sorted(job.folder.iterdir()):
        if path != previous:
            path.rename(aside / path.name)
    return aside
