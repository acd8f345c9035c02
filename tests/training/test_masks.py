"""The mask and the positions of a plan, from its spans through filled rows to the logits of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lc_data.packing.fill import fill_pack
from lc_data.packing.layout import BlockLayout
from lc_data.packing.plan import PlanBlock
from lc_data.training.batch import check_pack, to_device
from lc_data.training.model import CausalLM
from lc_data.training.weights import fill, random_weights
from tests.training.synthetic import VOCAB, small_config

LENGTHS = [9, 1, 14, 6, 2]
SEQ_LEN = 40
ANCHOR = 60


def row(texts: list[np.ndarray], mask: Any, positions: Any = "reset") -> dict[str, Any]:
    """One padded row of these documents as the stream delivers it."""
    n = len(texts)
    zeros, place = np.zeros(n, np.int64), np.arange(n)
    block = PlanBlock(zeros, place, zeros, np.array([len(text) for text in texts]), zeros, place)
    if mask == "none":
        block = block.without_masks()
    anchor = ANCHOR if mask == "anchor" else None
    filled = fill_pack(BlockLayout(block, zeros, SEQ_LEN, mask, positions, anchor).row(0), texts, None, 0)
    pieces = {} if filled.pieces is None else vars(filled.pieces)
    arrays = vars(filled) | {f"piece_{name}": values for name, values in pieces.items()}
    pack = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in arrays.items()}
    check_pack(pack, SEQ_LEN, positions)
    return pack


def texts(changed: int | None = None) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    made = [draw.integers(0, VOCAB, length) for length in LENGTHS]
    if changed is not None:
        made[changed] = (made[changed] + 1) % VOCAB
    return made


@pytest.fixture(scope="module")
def model() -> CausalLM:
    built = CausalLM(small_config()).eval()
    fill(built, random_weights(0.3, 3))
    return built


@torch.no_grad()
def logits(model: CausalLM, pack: dict[str, Any]) -> list[Tensor]:
    """The logits of each document, and of padding."""
    return list(model(**to_device(pack, torch.device("cpu"))).split([*LENGTHS, SEQ_LEN - sum(LENGTHS)]))


@pytest.mark.parametrize("positions", ["reset", "continuous"])
@pytest.mark.parametrize("mask", ["document", "none"])
@pytest.mark.parametrize("changed", range(len(LENGTHS)))
def test_a_document_is_seen_by_those_that_the_mask_lets_see_it(
    model: CausalLM, mask: str, positions: str, changed: int
) -> None:
    before, after = (logits(model, row(made, mask, positions)) for made in (texts(), texts(changed)))
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    later = [mask == "none" and place > changed for place in range(len(LENGTHS))]
    assert moved == [place == changed or sees for place, sees in enumerate(later)] + [False]


def test_without_mask_and_with_positions_that_run_on_a_row_is_one_text(model: CausalLM) -> None:
    used = sum(LENGTHS)
    text = torch.from_numpy(np.concatenate(texts()))
    with torch.no_grad():
        alone = model(text, torch.arange(used), torch.tensor([0, used], dtype=torch.int32), used)
    torch.testing.assert_close(torch.cat(logits(model, row(texts(), "none", "continuous"))[:-1]), alone)


def test_positions_that_run_on_change_what_a_document_gives(model: CausalLM) -> None:
    """Rotary attention sees distances only, so with the mask of documents nothing changes but rounding."""
    for mask, same in (("document", True), ("none", False)):
        reset, runs_on = (torch.cat(logits(model, row(texts(), mask, way))) for way in ("reset", "continuous"))
        assert torch.allclose(reset, runs_on, atol=1e-4) == same


def test_the_first_token_of_a_document_is_predicted_where_the_one_before_is_seen() -> None:
    starts = np.cumsum(LENGTHS)[:-1]
    assert row(texts(), "document")["labels"][starts].eq(-100).all()
    free = row(texts(), "none")
    assert torch.equal(free["labels"][starts], free["input_ids"][starts])
    assert free["labels"][0] == -100


def anchored_logits(model: CausalLM, pack: dict[str, Any]) -> list[Tensor]:
    """The logits of the anchor, of each document, and of padding."""
    return list(model(**to_device(pack, torch.device("cpu"))).split([1, *LENGTHS, SEQ_LEN - sum(LENGTHS) - 1]))


def separately(model: CausalLM, made: list[np.ndarray]) -> list[Tensor]:
    """The logits of each document after an anchor of its own."""
    several = []
    for text in made:
        tokens = torch.from_numpy(np.concatenate(([ANCHOR], text)))
        ends = torch.tensor([0, len(tokens)], dtype=torch.int32)
        several.append(model(tokens, torch.arange(len(tokens)), ends, len(tokens))[1:])
    return several


@torch.no_grad()
def test_an_anchored_row_is_its_documents_each_after_the_anchor(model: CausalLM) -> None:
    together = anchored_logits(model, row(texts(), "anchor"))[1:-1]
    for ours, alone in zip(together, separately(model, texts()), strict=True):
        torch.testing.assert_close(ours, alone, atol=1e-5, rtol=1e-5)
    without = to_device(row(texts(), "anchor"), torch.device("cpu")) | {"anchored": False}
    assert (model(**without)[1:33] - torch.cat(together)).abs().max() > 1e-2


def test_the_gradient_of_an_anchored_row_is_that_of_its_documents() -> None:
    gradients = []
    for split in (lambda m: anchored_logits(m, row(texts(), "anchor"))[1:-1], lambda m: separately(m, texts())):
        built = CausalLM(small_config()).double()
        fill(built, random_weights(0.3, 3))
        sum(part.square().sum() for part in split(built)).backward()
        gradients.append([p.grad for p in built.parameters()])
    for ours, alone in zip(*gradients, strict=True):
        assert ((ours - alone).norm() / alone.norm()) < 1e-6


@torch.no_grad()
@pytest.mark.parametrize("positions", ["reset", "continuous"])
@pytest.mark.parametrize("changed", range(len(LENGTHS)))
def test_documents_of_an_anchored_row_never_touch_each_other(model: CausalLM, positions: str, changed: int) -> None:
    before, after = (anchored_logits(model, row(made, "anchor", positions)) for made in (texts(), texts(changed)))
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [False, *(place == changed for place in range(len(LENGTHS))), False]
