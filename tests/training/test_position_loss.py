from __future__ import annotations

import math

import pytest
import torch

from lc_data.training.position_loss import PositionLoss, first_bucket


def test_every_token_falls_in_the_bucket_of_its_position() -> None:
    table = PositionLoss(["books", "code"], first_bucket_tokens=4, seq_len=20)
    assert table.edges == [0, 4, 8, 16, 32]
    positions = torch.arange(1, 20)
    domains = (positions % 2).long()
    nll = positions.float() / 10
    for part in range(0, 19, 5):  # in several calls, as packs come
        table.add(nll[part : part + 5], positions[part : part + 5], domains[part : part + 5])
    result = table.as_json()
    for code, name in enumerate(["books", "code"]):
        for bucket in result["domains"][name]["buckets"]:
            inside = [p for p in range(1, 20) if p % 2 == code and bucket["from"] <= p < bucket["to"]]
            assert bucket["tokens"] == len(inside)
            assert math.isclose(bucket["nll"], sum(inside) / 10 / len(inside), rel_tol=1e-6)
            assert math.isclose(bucket["perplexity"], math.exp(bucket["nll"]))
    assert result["all"]["tokens"] == 19
    assert math.isclose(result["all"]["nll"], sum(range(1, 20)) / 190, rel_tol=1e-6)


def test_sums_stay_exact_where_float32_would_stop_counting() -> None:
    table = PositionLoss(["books"], first_bucket_tokens=8, seq_len=8)
    table.nll += 2.0**25
    for _ in range(3):
        table.add(torch.ones(1), torch.ones(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    assert table.nll.sum().item() == 2.0**25 + 3


def test_domains_without_tokens_are_left_out() -> None:
    table = PositionLoss(["books", "code"], first_bucket_tokens=8, seq_len=8)
    table.add(torch.ones(2), torch.tensor([1, 2]), torch.zeros(2, dtype=torch.long))
    assert list(table.as_json()["domains"]) == ["books"]


def test_what_is_no_target_counts_nowhere() -> None:
    table = PositionLoss(["books"], first_bucket_tokens=4, seq_len=8)
    nll, positions = torch.tensor([1.0, 0.0, 2.0, 0.0]), torch.tensor([1, 2, 7, 8])
    table.add(nll, positions, torch.tensor([0, 0, 0, -1]), torch.tensor([True, False, True, False]))
    assert table.nll.tolist() == [[1.0, 2.0]]
    assert table.tokens.tolist() == [[1, 1]]


@pytest.mark.parametrize(("seq_len", "first"), [(131_072, 1024), (32_768, 1024), (32_767, 512), (4096, 128), (8, 1)])
def test_buckets_shrink_with_short_rows(seq_len: int, first: int) -> None:
    assert first_bucket(seq_len) == first
