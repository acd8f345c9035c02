"""The runs of an experiment: one corpus for all, one first model per seed, a folder for each arm and seed.

Documents are read, filtered, deduplicated and tokenised once; every other run gets those stages as hard links, which
hold no bytes of their own and can be thrown away. A first model is found by what it was made from, so experiments that
begin alike begin with the same one. Stages and trainings know by themselves what is done: a stopped experiment goes on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.lock import lock_run
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import DeferredBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.experiments.arms import SHARED
from lc_data.experiments.experiment import Arm
from lc_data.experiments.measure import VERSION, Questions, measure_arm
from lc_data.experiments.verdict import Scores
from lc_data.failure import Failure
from lc_data.recipe.recipe import Recipe
from lc_data.stages import balance, pack
from lc_data.stages.chain import run_chain
from lc_data.training.launch import Kind, launch
from lc_data.training.weights import weights_fingerprint

_LINKED = ("ingest", "filter", "dedupe", "bucket")


@dataclass(frozen=True)
class Note:
    """One thing that was done, or was done before."""

    what: str
    ran: bool
    detail: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.what}: {'done' if self.ran else 'was done before'}{', ' if self.detail else ''}{self.detail}"


@dataclass(frozen=True)
class Measured:
    """An arm under one seed."""

    ran: bool
    tokens: int
    """That it trained on."""
    scores: Scores
    by_domain: Mapping[str, int]
    """Tokens of its plan by domain; empty where it trained on none."""
    by_length: Mapping[int, int]
    """Tokens of its plan by the length at which their documents' bucket begins."""


@dataclass(frozen=True)
class ArmWork:
    """An arm under one seed, to be done."""

    arm: Arm
    place: str
    """Its folder, below that of the workshop."""
    start: Path
    """The checkpoint that it goes on from."""
    asked: Questions


class Workshop:
    """A folder in which experiments of one size are made."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def corpus(self, base: Recipe) -> Iterator[Note]:
        """Bring the corpus of a recipe up to date, as far as it is tokenised."""
        run = self.corpus_run(base)
        for report in run_chain(base, run, "bucket"):
            yield Note(f"corpus, {report.stage}", report.ran, f"{report.manifest.ledger.kept().documents:,} documents")

    def corpus_run(self, base: Recipe) -> RunFolder:
        """Where the corpus of a recipe is."""
        # Without what is as by default: a key that a later version adds moves nothing.
        made_of = base.model_dump(mode="json", include={*SHARED, "seed"}, exclude_defaults=True)
        return RunFolder(str(self.root / "corpora" / fingerprint(made_of)[:12]))

    def start(self, base: Recipe, recipe: Recipe) -> tuple[Path, Note]:
        """The checkpoint of a first training, or of a second one on the way, trained once for all that begin so."""
        origin = recipe.pretrain.model.path if recipe.pretrain else None
        made_of = recipe.model_dump(mode="json", exclude={"name", "description", "engine"}, exclude_defaults=True)
        if origin is not None:
            made_of["pretrain"]["model"]["path"] = weights_fingerprint(Path(origin))
        run = RunFolder(str(self.root / "starts" / fingerprint([made_of, base.seed])[:12]))
        self._pack(base, recipe, run)
        outcome = launch("pretrain", run.uri, recipe)
        what = f"start of seed {recipe.seed}" + ("" if origin is None else ", extended")
        return Path(run.stage("pretrain").uri) / "export", Note(what, outcome.ran, outcome.summary)

    def arm(self, base: Recipe, recipe: Recipe, work: ArmWork) -> Measured:
        """Train an arm's recipe and measure what comes of it."""
        arm, place, asked = work.arm, work.place, work.asked
        run = RunFolder(str(self.root / place))
        self._pack(base, recipe, run)
        ran, tokens, checkpoint = False, 0, work.start
        if arm.train != "none":
            kind: Kind = arm.train
            outcome = launch(kind, run.uri, recipe)
            checkpoint = Path(run.stage(kind).uri) / "export"
            ran, tokens = outcome.ran, outcome.result["tokens"]
            _check_budget(recipe, kind, tokens, place)
        plans = run.stage("pack").manifest().facts["plans"]
        facts = {"tokens_by_domain": {}, "tokens_by_bucket": []} if arm.train == "none" else plans[arm.train]
        begins = (0, *recipe.bucket.edges_tokens)
        by_domain = {domain: count for domain, count in facts["tokens_by_domain"].items() if count}
        by_length = dict(zip(begins, facts["tokens_by_bucket"], strict=False))
        mark = fingerprint([
            weights_fingerprint(checkpoint), plans["held_out"]["plan_hash"], recipe.evaluation.model_dump(mode="json"),
            asked.rope, asked.short_tokens, VERSION, asked.needles,
        ])  # fmt: skip
        path = Path(run.uri) / "scores.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if before.get("fingerprint") == mark:
            return Measured(ran, tokens, Scores(before["scores"], before["errors"]), by_domain, by_length)
        scores = measure_arm(checkpoint, run.uri, recipe, asked)
        content = {"fingerprint": mark, "scores": dict(scores.values), "errors": dict(scores.errors)}
        storage.write_atomic(str(path), json.dumps(content, indent=1).encode() + b"\n")
        return Measured(True, tokens, scores, by_domain, by_length)

    def _pack(self, base: Recipe, recipe: Recipe, run: RunFolder) -> None:
        """Plan a run's rows over the shared corpus."""
        stages = (balance.STAGE, pack.STAGE)
        for stage in stages:
            stage.check(recipe)
        modules = [stage.work.__module__ for stage in stages]
        with lock_run(run.uri), DeferredBackend(recipe.engine, modules) as backend:
            storage.remove_temporaries(run.uri, below=False)
            for name in _LINKED:
                _link(Path(self.corpus_run(base).stage(name).uri), Path(run.stage(name).uri))
            for stage in stages:
                storage.remove_temporaries(run.stage(stage.name).uri)
                bring_up_to_date(stage, recipe, run, backend)


def _link(source: Path, target: Path) -> None:
    """Give a run a stage of another one, its manifest last."""
    manifest = target / "manifest.json"
    if manifest.exists() and manifest.read_bytes() == (source / "manifest.json").read_bytes():
        return
    shutil.rmtree(target, ignore_errors=True)
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("manifest.json"), copy_function=os.link)
        os.link(source / "manifest.json", manifest)
    except (OSError, shutil.Error) as error:
        raise Failure(f"{target}: hard links cannot be made here ({error}): give an --out that has them") from error


def _check_budget(recipe: Recipe, kind: Kind, tokens: int, place: str) -> None:
    """All arms train on the same number of tokens, or their comparison means nothing."""
    section = recipe.sft if kind == "sft" else recipe.pretrain
    wanted = section.total_tokens if section else None
    if tokens != wanted:
        raise Failure(
            f"{place}: trained on {tokens:,} tokens, and all arms are to train on {wanted or 0:,}: plan more for this "
            f"arm (its mixture's budget_tokens), and let {kind}.total_tokens be a multiple of {kind}.batch_tokens"
        )
