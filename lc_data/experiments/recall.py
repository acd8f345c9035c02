"""A needle for models that cannot answer yet: the token that followed a key, thousands of tokens ago.

Into a held-out text a key of four random tokens and a value are put; at the end the key stands again, and the model has
done it when of sixteen candidates the value is the likeliest to follow. Chance is 1/16. It takes one forward pass, no
instruction and no wording, and asks for exactly what the sentences of a needle test ask for: attention to one far
place (the marker needle of the training's own tests in real text). Models of a few million parameters learn it from
text alone, long before they answer questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lc_data.training.model import CausalLM

CANDIDATES = 16
KEY_TOKENS = 4
DEPTHS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Recall:
    """How many needles of one length were found."""

    asked: int
    found: int

    @property
    def share(self) -> float:
        """The share that was found."""
        return self.found / self.asked

    @property
    def error(self) -> float:
        """Standard error of the share, never 0: with all found, as if half a needle had been missed."""
        missed = min(max(self.share, 0.5 / self.asked), 1 - 0.5 / self.asked)
        return math.sqrt(missed * (1 - missed) / self.asked)


@torch.inference_mode()
def measure_recall(model: CausalLM, texts: Sequence[Tensor], length: int, repeats: int, seed: int = 0) -> Recall:
    """Hide ``repeats`` needles at every depth of texts cut to ``length`` tokens.

    Args:
        model: in evaluation mode.
        texts: token ids, int64 [at least length] each; taken in turn.
        length: tokens of a whole question.
        repeats: for each of the five depths.
        seed: of keys and values.

    """
    device = next(model.parameters()).device
    draw = np.random.default_rng(seed)
    asked = found = 0
    for repeat in range(repeats):
        text = texts[repeat % len(texts)]
        for depth in DEPTHS:
            tokens, candidates = hide(text, length, depth, draw, model.config.vocab_size)
            borders = torch.tensor([0, length], dtype=torch.int32, device=device)
            logits = model(tokens.to(device), torch.arange(length, device=device), borders, length)[-1]
            asked += 1
            found += int(logits[candidates.to(device)].argmax()) == 0
    return Recall(asked, found)


def hide(text: Tensor, length: int, depth: float, draw: np.random.Generator, vocab_size: int) -> tuple[Tensor, Tensor]:
    """A question, int64 [length], and its candidates, int64 [16], of which the first is right."""
    drawn = draw.choice(vocab_size, CANDIDATES + KEY_TOKENS, replace=False)
    key, candidates = torch.from_numpy(drawn[:KEY_TOKENS]), torch.from_numpy(drawn[KEY_TOKENS:])
    around = length - 2 * KEY_TOKENS - 1
    at = int(around * depth)
    return torch.cat([text[:at], key, candidates[:1], text[at:around], key]), candidates
