"""What is measured of an arm's checkpoint: losses on held-out documents by domain and position, and needles."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.evaluation.evaluate import measure
from lc_data.evaluation.panel import measure_cloze, measure_gain, short_documents
from lc_data.experiments.recall import measure_recall
from lc_data.experiments.verdict import Scores
from lc_data.failure import Failure
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.training import EvaluationSection
from lc_data.streaming.dataset import PackedDataset
from lc_data.training.job import held_out_documents, read_packed_corpus
from lc_data.training.load import load_model
from lc_data.training.model import CausalLM

VERSION = 3
"""Of what is measured: older scores are measured again."""
_HAYSTACKS = 8


@dataclass(frozen=True)
class Questions:
    """How a checkpoint is asked, beside its recipe's section ``evaluation``."""

    rope: str
    """How rotary angles are scaled, as ``lc-data evaluate --rope`` has it."""
    short_tokens: int
    """The length of the first training."""
    needles: int
    """For each of five depths."""


def measure_arm(checkpoint: Path, run_uri: str, recipe: Recipe, asked: Questions) -> Scores:
    """Measure a checkpoint on the held-out documents of a packed run.

    ``loss``, ``loss.<domain>``: nats per token. ``loss_short``, ``loss_long``: at positions below ``short_tokens`` and
    from there on. ``long_gain``: nats that long documents gain from their context. ``cloze``: share of short
    documents' tokens that are the first choice. ``needle_short``, ``needle_long``: share of needles found in texts of
    ``short_tokens``, and of a whole row. Those for which held-out documents are too short are left out.

    Args:
        checkpoint: a folder in Hugging Face format.
        run_uri: the run whose plan ``held_out`` is read.
        recipe: its section ``evaluation`` applies.
        asked: what else is asked.

    """
    section = recipe.evaluation.model_copy(update={"first_bucket_tokens": 1 << (asked.short_tokens.bit_length() - 1)})
    corpus = read_packed_corpus(run_uri, "held_out")
    model = _load(checkpoint, section, asked)
    table, _ = measure(model, PackedDataset(run_uri, plan="held_out"), corpus, section)
    if not table.tokens.any():
        raise Failure(f"the plan held_out of {run_uri} holds no document to measure on: raise mixture.held_out.share")
    values, errors = losses(table.as_json(), section.first_bucket_tokens), {}
    gain = measure_gain(model, run_uri, corpus.seq_len)
    if gain is not None:
        values["long_gain"] = gain["gain"]
    cloze = measure_cloze(model, short_documents(run_uri))
    if cloze is not None:
        values["cloze"] = cloze.accuracy
    for name, length in (("needle_short", asked.short_tokens), ("needle_long", corpus.seq_len)):
        texts = held_out_documents(run_uri)(length, _HAYSTACKS)
        if texts:
            recall = measure_recall(model, texts, length, asked.needles)
            values[name], errors[name] = recall.share, recall.error
    return Scores(values, errors)


def _load(checkpoint: Path, section: EvaluationSection, asked: Questions) -> CausalLM:
    """The checkpoint, its angles scaled from the length that it was first trained at.

    ``config.json`` of a new model says that it reaches 2,048 tokens even where it has seen fewer, and scaling would
    begin only there.
    """
    if asked.rope == "none":
        return load_model(checkpoint, section.impl, section.dtype)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(checkpoint, Path(folder) / "export"))
        content = json.loads((copy / "config.json").read_text(encoding="utf-8"))
        content["max_position_embeddings"] = asked.short_tokens
        (copy / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return load_model(copy, section.impl, section.dtype, asked.rope)


def losses(table: dict[str, Any], short_tokens: int) -> dict[str, float]:
    """The losses of a table by domain and position, as ``position_loss.json`` has it; empty cells are left out."""
    buckets = table["all"]["buckets"]
    parts = {
        "loss_short": [cell for cell in buckets if cell["to"] <= short_tokens],
        "loss_long": [cell for cell in buckets if cell["from"] >= short_tokens],
    }
    found = {"loss": table["all"]["nll"]}
    for name, cells in parts.items():
        tokens = sum(cell["tokens"] for cell in cells)
        if tokens:
            found[name] = sum(cell["nll"] * cell["tokens"] for cell in cells) / tokens
    return found | {f"loss.{domain}": row["nll"] for domain, row in table["domains"].items()}
