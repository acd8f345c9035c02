from __future__ import annotations

import pytest
import torch

from lc_data.training import throughput
from lc_data.training.batch import BatchShape, next_batch, real_lengths, target_places
from lc_data.training.config import ModelConfig
from lc_data.training.model import CausalLM
from lc_data.training.throughput import Workload, peak_flops
from tests.training.synthetic import make_pack, small_config

INDEX = ModelConfig(
    vocab_size=65_029,
    hidden_size=2048,
    num_hidden_layers=36,
    num_attention_heads=16,
    num_key_value_heads=16,
    head_dim=128,
    intermediate_size=5888,
)


def workload(config: ModelConfig) -> Workload:
    with torch.device("meta"):
        return Workload.of(CausalLM(config), config)


def test_index_at_32k_costs_what_it_costs() -> None:
    """26.7 GFLOP a token for one document of 32K, 14.1 for eight of 4K."""
    index = workload(INDEX)
    whole = index.of_lengths(torch.tensor([32_768])) / 32_768
    short = index.of_lengths(torch.tensor([4096] * 8)) / 32_768
    assert whole == pytest.approx(26.7e9, rel=0.01)
    assert short == pytest.approx(14.1e9, rel=0.01)


@pytest.mark.parametrize("tied", [True, False])
def test_work_is_counted_weight_by_weight_and_pair_by_pair(tied: bool) -> None:
    config = small_config(tie_word_embeddings=tied)
    body = 2 * (32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 48)
    assert workload(config) == Workload(6.0 * (body + 61 * 32), 6.0 * 2 * 32)


def test_padding_is_no_work() -> None:
    pack = make_pack([[1, 2, 3], [4, 5]], 8)
    assert real_lengths(pack).tolist() == [3, 2]
    [batch] = [next_batch(iter([pack, make_pack([[1] * 8], 8)]), BatchShape(2, 8))]
    assert batch.tokens == 13
    work = Workload(10.0, 1.0)
    assert work.of_batch(batch) == 10 * 13 + 9 + 4 + 64


def test_targets_stand_one_place_on_in_their_document() -> None:
    places, domains = target_places(make_pack([[1, 2, 3], [4, 5]], 8))
    assert places.tolist() == [1, 2, 3, 1, 2, 1, 2, 3]
    assert domains.tolist() == [0, 0, 0, 1, 1, -1, -1, -1]
    joined = make_pack([[1, 2, 3, 4, 5]], 8) | {
        "piece_cu_seqlens": torch.tensor([0, 3, 5, 8]),
        "piece_domain_ids": torch.tensor([1, 0, -1]),
    }
    assert target_places(joined)[0].tolist() == places.tolist()
    assert target_places(joined)[1].tolist() == [1, 1, 1, 0, 0, -1, -1, -1]


@pytest.mark.parametrize(
    ("name", "flops"), [("NVIDIA H200", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA L40S", 362e12), ("A toy", None)]
)
def test_the_peak_of_a_device_is_looked_up_by_its_longest_name(
    name: str, flops: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput.torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(torch.device("cuda", 0)) == flops
    assert peak_flops(torch.device("cpu")) is None
