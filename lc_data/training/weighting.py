"""What each target counts in a step's loss, for trainings that average over sequences instead of tokens.

A mean over the target tokens of a step lets one long answer outweigh dozens of short ones, and packing decides which
of them share a row. LongAlign (arXiv 2401.18058, section 3.2) weighs sequence i, whose N_i target tokens lie in one of
K packs with M sequences between them, by K / (N_i M) in a mean over packs: that is the mean over all sequences of each
one's own mean, whatever packs, ranks and accumulation steps they fall on, and it is computed here as just that.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lc_data.training.loss import IGNORED


def sequence_weights(labels: Tensor, borders: Tensor) -> tuple[Tensor, int]:
    """Weigh the targets of a pack so that those of each sequence sum to 1.

    Args:
        labels: int64 [T], unshifted; ``IGNORED`` where a token is no target. The first is never predicted.
        borders: integer [sequences + 1], from 0 to T: where each sequence begins, padding being one that has no target.

    Returns:
        float32 [T], the weight of what each position predicts, 0 where that is no target; and the number of sequences
        that have targets, which is the sum of the weights.

    """
    lengths = borders.diff().long()
    sequence = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    is_target = labels != IGNORED
    is_target[0] = False
    counts = torch.bincount(sequence[is_target], minlength=len(lengths))
    weights = torch.where(is_target, counts.clamp(min=1).double().reciprocal()[sequence], 0.0)
    return torch.cat((weights[1:], weights.new_zeros(1))).float(), int((counts > 0).sum())
