from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lc_data.training.rope import Rope, RopeKind, rope_from_hf, rotate
from lc_data.training.rope import rotation as rotation_of


def rotation(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    return rotation_of(positions, head_dim, Rope(base), torch.tensor([0, len(positions)]))


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


SCALINGS: list[dict[str, Any]] = [
    {"rope_type": "default"},
    {"rope_type": "linear", "factor": 4.0},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64},
    {"rope_type": "yarn", "factor": 40.0, "beta_fast": 16, "beta_slow": 2, "truncate": False},
    {"rope_type": "yarn", "factor": 8.0, "attention_factor": 1.5},
    {"rope_type": "yarn", "factor": 40.0, "mscale": 0.7, "mscale_all_dim": 1.3},
    {"rope_type": "dynamic", "factor": 8.0},
]


@pytest.mark.parametrize("scaling", SCALINGS, ids=str)
@pytest.mark.parametrize("length", [60, 200])
def test_angles_are_those_of_transformers_in_both_layouts(scaling: dict[str, Any], length: int) -> None:
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    shape = {"hidden_size": 128, "num_attention_heads": 4, "max_position_embeddings": 64}
    new = {"rope_parameters": {**scaling, "rope_theta": 50_000.0}}
    old = {"rope_theta": 50_000.0, "rope_scaling": {"type": scaling["rope_type"], **scaling}}
    theirs = llama.LlamaRotaryEmbedding(llama.LlamaConfig(**shape, **new))
    positions = torch.arange(length)
    cos, sin = (table[0, :, None, :16] for table in theirs(torch.zeros(1), positions[None]))
    rope = rope_from_hf({**shape, **new})
    assert rope == rope_from_hf({**shape, **old}) == rope_from_hf({**shape, **rope.to_hf()})
    ours = rotation_of(positions, 32, rope, torch.tensor([0, length]))
    torch.testing.assert_close(ours[0], cos, atol=2e-5, rtol=0)
    torch.testing.assert_close(ours[1], sin, atol=2e-5, rtol=0)


def test_dynamic_angles_of_a_text_do_not_depend_on_its_neighbours() -> None:
    rope = Rope(kind="dynamic", factor=8.0, original_length=16)
    lengths = [40, 8, 24]
    positions = torch.cat([torch.arange(length) for length in lengths])
    together = rotation_of(positions, 8, rope, torch.tensor([0, 40, 48, 72]))[0].split(lengths)
    for length, rows in zip(lengths, together, strict=True):
        alone = rotation_of(torch.arange(length), 8, rope, torch.tensor([0, length]))[0]
        assert torch.equal(rows, alone)
    plain = rotation_of(torch.arange(8), 8, Rope(), torch.tensor([0, 8]))[0]
    assert torch.equal(together[1], plain)
    assert not torch.equal(together[0][:8], plain)


@pytest.mark.parametrize("kind", ["linear", "yarn", "dynamic", "llama3"])
def test_a_factor_of_one_changes_nothing(kind: RopeKind) -> None:
    positions, ends = torch.arange(100), torch.tensor([0, 100])
    plain = rotation_of(positions, 16, Rope(), ends)
    scaled = rotation_of(positions, 16, Rope().scaled(kind, 1.0, 100), ends)
    torch.testing.assert_close(scaled, plain, atol=1e-6, rtol=0)
