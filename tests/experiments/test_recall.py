"""Needles in token space: where they are put, and that a model that looks for them finds them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from lc_data.experiments.recall import CANDIDATES, DEPTHS, KEY_TOKENS, Recall, hide, measure_recall
from lc_data.training.model import CausalLM

VOCAB = 64


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_key_stands_twice_and_the_value_follows_the_first(depth: float) -> None:
    text = torch.full((200,), VOCAB)
    tokens, candidates = hide(text, 100, depth, np.random.default_rng(3), VOCAB)
    assert len(tokens) == 100
    assert len(set(candidates.tolist())) == CANDIDATES
    key = tokens[-KEY_TOKENS:]
    at = int((100 - 2 * KEY_TOKENS - 1) * depth)
    assert torch.equal(tokens[at : at + KEY_TOKENS], key)
    assert tokens[at + KEY_TOKENS] == candidates[0]
    assert not set(key.tolist()) & set(candidates.tolist())
    assert int((tokens == VOCAB).sum()) == 100 - 2 * KEY_TOKENS - 1


class Scripted(torch.nn.Module):
    """Looks for the last token's earlier place and answers with what followed it; or always with token 0."""

    def __init__(self, looks: bool) -> None:
        super().__init__()
        self.looks, self.weight = looks, torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(vocab_size=VOCAB)

    def forward(self, tokens: Tensor, positions: Tensor, borders: Tensor, longest: int) -> Tensor:
        logits = torch.zeros(len(tokens), VOCAB + 1)
        if self.looks:
            place = (tokens[:-1] == tokens[-1]).nonzero()[0, 0]
            logits[-1, tokens[place + 1]] = 1.0
        else:
            logits[-1] = torch.randn(VOCAB + 1, generator=torch.Generator().manual_seed(int(tokens.sum())))
        return logits


def test_a_model_that_looks_finds_all_and_one_that_guesses_about_a_sixteenth() -> None:
    texts = [torch.full((128,), VOCAB)]
    all_found = measure_recall(cast("CausalLM", cast("Any", Scripted(True))), texts, 128, repeats=20)
    guessed = measure_recall(cast("CausalLM", cast("Any", Scripted(False))), texts, 128, repeats=80)
    assert (all_found.asked, all_found.share) == (100, 1.0)
    assert guessed.share < 0.15


def test_the_error_of_a_share_is_never_nothing() -> None:
    assert Recall(100, 50).error == pytest.approx(0.05)
    assert 0 < Recall(100, 100).error < 0.01
    assert Recall(100, 0).error == pytest.approx(Recall(100, 100).error)
