"""A pack is its documents, each alone: and the checks that say so fail when the boundaries are broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lc_data.training import loss, model
from lc_data.training.batch import to_device
from lc_data.training.loss import IGNORED
from lc_data.training.model import CausalLM
from lc_data.training.weights import fill, random_weights
from tests.training.synthetic import VOCAB, make_pack, small_config

LENGTHS = [9, 1, 14, 6, 2]


def small_model() -> CausalLM:
    built = CausalLM(small_config())
    fill(built, random_weights(0.3, 3))
    return built


def documents(seed: int = 0) -> list[list[int]]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCAB, (length,), generator=draw).tolist() for length in LENGTHS]


def gradients(built: CausalLM, packs: list[dict]) -> list[Tensor]:
    """Gradients of the summed loss over packs."""
    built.zero_grad()
    for pack in packs:
        targets = loss.next_token_targets(pack["labels"])
        built(**to_device(pack, torch.device("cpu")), targets=targets).sum().backward()
    return [p.grad.clone() for p in built.parameters() if p.grad is not None]


def oracle_gradients(built: CausalLM, texts: list[list[int]]) -> list[Tensor]:
    """Each document alone, its logits and loss written out without anything of the code under test but the model."""
    built.zero_grad()
    for text in texts:
        tokens = torch.tensor(text)
        cu_seqlens = torch.tensor([0, len(text)], dtype=torch.int32)
        logits = built(tokens, torch.arange(len(text)), cu_seqlens, len(text))
        torch.nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="sum").backward()
    return [p.grad.clone() for p in built.parameters() if p.grad is not None]


def packed_differs_from_separate() -> float:
    """Largest relative difference of a gradient between one pack (with padding) and its documents one by one."""
    built = small_model()
    packed = gradients(built, [make_pack(documents(), 40)])
    separate = oracle_gradients(built, documents())
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(packed, separate, strict=True))


def neighbours_move(changed: int) -> bool:
    """Whether other documents' logits change by one bit when one document is replaced."""
    built = small_model().eval()
    before, after = documents(), documents()
    after[changed] = [(token + 1) % VOCAB for token in after[changed]]
    with torch.no_grad():
        logits = [built(**to_device(make_pack(texts, 40), torch.device("cpu"))) for texts in (before, after)]
    start, end = sum(LENGTHS[:changed]), sum(LENGTHS[: changed + 1])
    keep = torch.ones(40, dtype=torch.bool)
    keep[start:end] = False
    assert not torch.equal(logits[0][start:end], logits[1][start:end])
    return not torch.equal(logits[0][keep], logits[1][keep])


def test_packed_gradients_are_those_of_separate_documents() -> None:
    assert packed_differs_from_separate() < 1e-5


@pytest.mark.parametrize("changed", range(len(LENGTHS)))
def test_one_document_never_touches_another(changed: int) -> None:
    assert not neighbours_move(changed)


def test_padding_does_not_matter() -> None:
    built = small_model()
    tight, loose = (gradients(built, [make_pack(documents(), seq_len)]) for seq_len in (sum(LENGTHS), 64))
    for a, b in zip(tight, loose, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def _without_boundaries(attend: Callable) -> Callable:
    def broken(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_seqlen: int, anchored: bool) -> Tensor:
        return attend(q, k, v, torch.tensor([0, len(q)], dtype=torch.int32), len(q))

    return broken


def test_a_mask_without_boundaries_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "attend", _without_boundaries(model.attend))
    assert packed_differs_from_separate() > 1e-2
    assert neighbours_move(0)


def test_boundaries_that_are_one_token_off_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = model.attend

    def shifted(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_seqlen: int, anchored: bool) -> Tensor:
        moved = cu_seqlens.clone()
        if len(moved) > 2:
            moved[2] += 1
        return right(q, k, v, moved, max_seqlen)

    monkeypatch.setattr(model, "attend", shifted)
    assert packed_differs_from_separate() > 1e-3


@pytest.mark.parametrize(
    "fault",
    [lambda positions: positions * 0, lambda positions: positions // 2, lambda positions: positions % 5],
    ids=["none", "halved", "restarting inside a document"],
)
def test_broken_positions_are_noticed(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], Tensor]) -> None:
    right = small_model()
    tokens = torch.tensor(documents()[2])
    expected = right(tokens, torch.arange(14), torch.tensor([0, 14]), 14)
    rotation = model.rotation
    monkeypatch.setattr(model, "rotation", lambda positions, *rest: rotation(fault(positions), *rest))
    got = right(tokens, torch.arange(14), torch.tensor([0, 14]), 14)
    assert (got - expected).abs().max() > 1e-3


@pytest.mark.parametrize("shift", [0, 2])
def test_a_wrong_label_shift_is_noticed(monkeypatch: pytest.MonkeyPatch, shift: int) -> None:
    def broken(labels: Tensor) -> Tensor:
        return torch.cat((labels[shift:], labels.new_full((shift,), IGNORED)))

    monkeypatch.setattr(loss, "next_token_targets", broken)
    assert packed_differs_from_separate() > 1e-2


def test_recomputing_layers_changes_no_gradient() -> None:
    pack = make_pack(documents(), 40)
    plain, recomputed = CausalLM(small_config()), CausalLM(small_config(), recompute=True)
    for built in (plain, recomputed):
        fill(built, random_weights(0.3, 3))
    for a, b in zip(gradients(plain, [pack]), gradients(recomputed, [pack]), strict=True):
        assert torch.equal(a, b)
