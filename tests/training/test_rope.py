from __future__ import annotations

import torch

from lc_data.training.rope import rotate, rotation


def test_rotation_is_multiplication_by_a_complex_number() -> None:
    torch.manual_seed(0)
    positions = torch.tensor([0, 1, 2, 131_071, 0, 7])
    x = torch.randn(6, 3, 16)
    frequencies = torch.tensor([500_000.0 ** (-2 * i / 16) for i in range(8)], dtype=torch.float64)
    turn = torch.polar(torch.ones(6, 8, dtype=torch.float64), positions[:, None] * frequencies)
    turned = torch.complex(x[..., :8].double(), x[..., 8:].double()) * turn[:, None]
    expected = torch.cat((turned.real, turned.imag), dim=-1).float()
    torch.testing.assert_close(rotate(x, *rotation(positions, 16, 500_000.0)), expected, atol=1e-6, rtol=1e-6)


def test_scores_depend_on_the_distance_alone_even_far_out() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 64), torch.randn(1, 1, 64)

    def score(position: int) -> float:
        far, near = (rotation(torch.tensor([p]), 64, 10_000.0) for p in (position + 5, position))
        return (rotate(q, *far) * rotate(k, *near)).sum().item()

    assert max(abs(score(p) - score(0)) for p in (1_000, 131_000, 1_000_000)) < 1e-4


def test_half_precision_heads_are_rotated_in_float32() -> None:
    x = torch.randn(4, 2, 8).bfloat16()
    angles = rotation(torch.tensor([100_000, 100_001, 5, 0]), 8, 10_000.0)
    assert rotate(x, *angles).dtype == torch.bfloat16
    assert torch.equal(rotate(x, *angles), rotate(x.float(), *angles).bfloat16())
