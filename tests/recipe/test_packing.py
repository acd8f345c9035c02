from __future__ import annotations

import pytest
from pydantic import ValidationError

from lc_data.recipe.packing import PackSection


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"block_packs": 8, "global_batch_packs": 16}, "a batch is ordered inside one block"),
        ({"curriculum": "grow_p2"}, "it needs method: pow2"),
        ({"method": "pow2", "seq_len": 3000}, "needs a power of two for seq_len, got 3000"),
        ({"method": "pow2", "min_piece_tokens": 300}, "needs a power of two for min_piece_tokens, got 300"),
        ({"method": "pow2", "seq_len": 128}, "it cannot exceed seq_len, 128"),
    ],
)
def test_what_does_not_fit_together_is_said(keys: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PackSection(**keys)


def test_only_powers_of_two_leave_tails() -> None:
    assert PackSection().least_piece_tokens == 1
    assert PackSection(method="pow2").least_piece_tokens == 256
