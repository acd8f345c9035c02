from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lc_data.evaluation.evaluate import evaluate
from lc_data.evaluation.panel import FIRST_CLOZE, measure_cloze, measure_gain, short_documents
from lc_data.recipe.recipe import Recipe
from lc_data.training.load import load_model
from tests.evaluation.tiny_checkpoint import write_checkpoint
from tests.streaming.packed_run import Document, PackedRun, next_fit

SEQ_LEN = 256


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> PackedRun:
    draw = np.random.default_rng(0)
    lengths = [40, 64, 100, 150, 200, 256, 256, 90]
    documents = [Document(f"d{n}", "books", draw.integers(5, 250, size).tolist()) for n, size in enumerate(lengths)]
    made = PackedRun(tmp_path_factory.mktemp("panel") / "run", documents, vocab_size=260)
    made.write_bucket()
    made.write_plan("held_out", SEQ_LEN, next_fit(made.lengths, SEQ_LEN, packs_per_block=3))
    return made


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("panel") / "model", 512)


def test_short_documents_are_those_of_the_plan(run: PackedRun) -> None:
    found = short_documents(str(run.folder))
    expected = [document.tokens for document in run.documents if 64 <= len(document.tokens) < SEQ_LEN]
    assert sorted(document.tolist() for document in found) == sorted(expected)


def test_cloze_counts_first_choices_one_document_at_a_time(run: PackedRun, checkpoint: Path) -> None:
    model = load_model(checkpoint)
    documents = short_documents(str(run.folder))
    short = documents[0][: FIRST_CLOZE + 20]
    right = 0
    with torch.no_grad():
        for place in range(FIRST_CLOZE, len(short)):
            logits = model(short[:place], torch.arange(place), torch.tensor([0, place], dtype=torch.int32), place)
            right += int(logits[-1].argmax() == short[place])
    panel = measure_cloze(model, documents)
    assert panel is not None
    assert panel.tokens == sum(len(document) - FIRST_CLOZE for document in documents)
    first = measure_cloze(model, [short])
    assert first is not None
    assert (first.tokens, first.accuracy) == (20, right / 20)
    assert measure_cloze(model, []) is None
    knowing = Knowing(documents[0])
    assert measure_cloze(knowing, [documents[0]]).accuracy == 1.0  # type: ignore[arg-type,union-attr]


class Knowing:
    """A model that knows its document."""

    def __init__(self, document: torch.Tensor) -> None:
        self.document = document

    def parameters(self):
        return iter([torch.zeros(1)])

    def __call__(self, tokens, positions, borders, longest):
        return torch.nn.functional.one_hot(torch.cat((self.document[1:], self.document[:1])), 300).float()


def test_the_panel_is_part_of_the_evaluation(run: PackedRun, checkpoint: Path) -> None:
    recipe = Recipe.model_validate({
        "name": "panel",
        "sources": [{"kind": "jsonl", "name": "books", "domain": "books", "paths": ["books.jsonl"]}],
        "tokenizer": {"path": "tokenizer.json"},
        "pack": {"seq_len": SEQ_LEN, "block_packs": 64},
    })  # fmt: skip
    result = evaluate(checkpoint, str(run.folder), recipe, "tiny")
    written = json.loads((run.folder / "evaluate" / "tiny" / "position_loss.json").read_text())
    assert written["long_gain"].keys() == {"near", "far", "far_cut", "gain", "gain_cut"}
    assert written["cloze"]["documents"] == 5
    assert "gained from long context" in result.summary
    assert "of short documents' tokens known" in result.summary
    assert not evaluate(checkpoint, str(run.folder), recipe, "tiny").ran


def test_without_long_documents_there_is_no_gain(run: PackedRun, checkpoint: Path) -> None:
    model = load_model(checkpoint)
    assert measure_gain(model, str(run.folder), 32) is None
    assert measure_gain(model, str(run.folder), 512) is None
