"""Evaluation of a checkpoint on the held-out documents of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.run import RunFolder
from lc_data.evaluation.evaluate_suites import SuitesResult, evaluate_suites
from lc_data.evaluation.panel import measure_cloze, measure_gain, short_documents
from lc_data.failure import Failure
from lc_data.progress import Progress
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.training import EvaluationSection
from lc_data.streaming.dataset import PackedDataset
from lc_data.training.batch import check_pack, to_device
from lc_data.training.job import PackedCorpus, PackStream, read_packed_corpus, training_folder
from lc_data.training.load import load_model, read_model_config
from lc_data.training.loss import IGNORED, next_token_targets
from lc_data.training.model import CausalLM
from lc_data.training.position_loss import PositionLoss
from lc_data.training.pretrain import check_vocabulary
from lc_data.training.weights import weights_fingerprint

_VERSION = 2
"""Of what is measured: a file of another version is measured again."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and whether it had to be measured now."""

    ran: bool
    results: dict[str, dict[str, Any]]
    """The content of ``position_loss.json`` by the name of the checkpoint."""
    suites: dict[str, SuitesResult] = field(default_factory=dict)
    """What the checkpoints answered to suites of tasks, where the recipe names some."""

    @property
    def summary(self) -> str:
        """One line for people."""
        lines = [_line(name, result) for name, result in self.results.items()]
        lines += [f"{name}: {result.summary}" for name, result in self.suites.items()]
        return "; ".join(lines)


def evaluate_run(recipe: Recipe, run_uri: str) -> Evaluation:
    """Evaluate every checkpoint that the run has exported, pretraining's and SFT's.

    Loss by position comes first, then the suites of ``evaluation.suites``. What is there already and was made of the
    same weights and settings is not made again; answers made otherwise are put aside.
    """
    exports = {kind: training_folder(run_uri, kind) / "export" for kind in ("pretrain", "sft")}
    found = {kind: folder for kind, folder in exports.items() if folder.is_dir()}
    if not found:
        raise RecipeError(f"{run_uri} has no trained checkpoint to evaluate: run pretrain first")
    each = {kind: evaluate(folder, run_uri, recipe, kind) for kind, folder in found.items()}
    suites: dict[str, SuitesResult] = {}
    if (section := recipe.evaluation.suites) is not None:
        suites = {
            kind: evaluate_suites(folder, section, run_uri=run_uri, name=kind, put_aside=True)
            for kind, folder in found.items()
        }
    ran = any(one.ran for one in each.values()) or any(one.changed for one in suites.values())
    return Evaluation(ran, {kind: one.results[kind] for kind, one in each.items()}, suites)


def evaluate(checkpoint: str | Path, run_uri: str, recipe: Recipe, name: str | None = None) -> Evaluation:
    """Measure loss by domain and position and write ``RUN/evaluate/<name>/position_loss.json``.

    Nothing is measured again when checkpoint, held-out plan and settings are those of the file that is there.

    Args:
        checkpoint: a folder in Hugging Face format, as the trainings export.
        run_uri: the packed run whose plan ``held_out`` is read.
        recipe: its section ``evaluation`` applies.
        name: what the result is called; None takes the name of the checkpoint's folder, or of the one above ``export``.

    """
    folder = Path(checkpoint)
    label = name or (folder.parent.name if folder.name == "export" else folder.name)
    corpus = read_packed_corpus(run_uri, "held_out")
    check_vocabulary(read_model_config(folder, recipe.evaluation.impl), corpus.vocab_size, str(folder))
    place = RunFolder(run_uri).stage("evaluate").file(f"{label}/position_loss.json")
    identity = fingerprint([
        weights_fingerprint(folder), corpus.plan_hash,
        recipe.evaluation.model_dump(mode="json", exclude={"suites"}), _VERSION,
    ])  # fmt: skip
    if storage.exists(place):
        before = json.loads(storage.read_bytes(place))
        if before["fingerprint"] == identity:
            return Evaluation(False, {label: before})
    model = load_model(folder, recipe.evaluation.impl, recipe.evaluation.dtype)
    table, documents = measure(model, PackedDataset(run_uri, plan="held_out"), corpus, recipe.evaluation)
    if not table.tokens.any():
        raise Failure(f"the plan held_out of {run_uri} holds no document to evaluate on: raise mixture.held_out.share")
    cloze = measure_cloze(model, short_documents(run_uri))
    result = {
        "fingerprint": identity,
        "seq_len": corpus.seq_len,
        "documents": documents,
        **table.as_json(),
        "long_gain": measure_gain(model, run_uri, corpus.seq_len),
        "cloze": cloze and cloze.as_json(),
    }
    storage.write_atomic(place, json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
    return Evaluation(True, {label: result})


@torch.inference_mode()
def measure(
    model: CausalLM, stream: PackStream, corpus: PackedCorpus, section: EvaluationSection
) -> tuple[PositionLoss, int]:
    """Losses of a model over a stream, and the number of documents they come from."""
    device = next(model.parameters()).device
    table = PositionLoss(corpus.domains, section.first_bucket_tokens, corpus.seq_len)
    seen: set[int] = set()
    with Progress("evaluate", corpus.packs * corpus.seq_len, "tokens") as progress:
        for pack in stream:
            check_pack(pack, corpus.seq_len, corpus.positions)
            counted = _documents_to_count(pack["document_ids"].tolist(), seen, section.max_documents)
            progress.advance(corpus.seq_len)
            if not any(counted):
                continue
            lengths = pack["cu_seqlens"].diff().long()
            targets = next_token_targets(pack["labels"])
            nll = model(**to_device(pack, device), targets=targets.to(device)).cpu()
            is_target = (targets != IGNORED) & torch.tensor(counted).repeat_interleave(lengths)
            domains = pack["domain_ids"].repeat_interleave(lengths)
            # The token that position i predicts stands at position i + 1 of the same document.
            table.add(nll[is_target], pack["position_ids"][is_target] + 1, domains[is_target])
    return table, len(seen)


def _line(name: str, result: dict[str, Any]) -> str:
    gain, cloze = result["long_gain"], result["cloze"]
    parts = [f"{name}: {result['all']['nll']:.4f} nats/token on {result['documents']:,} documents"]
    if gain:
        parts.append(f"{gain['gain']:+.4f} gained from long context ({gain['gain_cut']:+.4f} from short windows)")
    if cloze:
        parts.append(f"{cloze['accuracy']:.1%} of short documents' tokens known")
    return ", ".join(parts)


def _documents_to_count(documents: list[int], seen: set[int], limit: int | None) -> list[bool]:
    """For each segment whether it counts: padding (-1) does not, nor do documents beyond the limit."""
    counted = []
    for document in documents:
        if document >= 0 and (limit is None or len(seen) < limit):
            seen.add(document)
        counted.append(document in seen)
    return counted
