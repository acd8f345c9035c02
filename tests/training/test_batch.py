from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lc_data.training.batch import BatchShape, PackError, check_pack, next_batch
from tests.training.synthetic import make_pack


def pack() -> dict[str, Any]:
    return make_pack([[1, 2, 3], [4, 5]], 8)


def _change(name: str, index: int, value: int) -> Callable[[dict], None]:
    def change(broken: dict) -> None:
        broken[name][index] = value

    return change


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_change("labels", 3, 4), "would predict it"),
        (_change("position_ids", 3, 3), "positions do not restart"),
        (_change("cu_seqlens", 3, 7), "cu_seqlens must rise from 0 to 8"),
        (_change("cu_seqlens", 1, 5), "cu_seqlens must rise"),
        (lambda broken: broken.update(max_seqlen=2), "max_seqlen is 2"),
        (lambda broken: broken.update(input_ids=torch.zeros(9, dtype=torch.long)), "shape"),
    ],
)
def test_a_pack_that_contradicts_itself_is_refused(fault: Callable[[dict], None], message: str) -> None:
    check_pack(pack(), 8)
    broken = pack()
    fault(broken)
    with pytest.raises(PackError, match=message):
        check_pack(broken, 8)


def _running_on() -> dict[str, Any]:
    return pack() | {"position_ids": torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])}


def test_positions_are_what_the_plan_says() -> None:
    check_pack(_running_on(), 8, "continuous")
    with pytest.raises(PackError, match="do not restart at every segment"):
        check_pack(_running_on(), 8)
    with pytest.raises(PackError, match="do not run on over the row"):
        check_pack(pack(), 8, "continuous")


def test_positions_restart_at_documents_that_share_a_segment() -> None:
    joined = pack() | {"cu_seqlens": torch.tensor([0, 5, 8]), "piece_cu_seqlens": torch.tensor([0, 3, 5, 8])}
    joined |= {"max_seqlen": 5, "labels": torch.tensor([-100, 2, 3, 4, 5, -100, -100, -100])}
    check_pack(joined, 8)
    with pytest.raises(PackError, match="do not restart"):
        check_pack(joined | {"position_ids": _running_on()["position_ids"]}, 8)


def test_labels_are_counted_after_the_shift() -> None:
    batch = next_batch(iter([pack(), pack()]), BatchShape(2, 8))
    assert batch.label_tokens == 2 * (2 + 1)


def test_a_stream_that_ends_early_is_an_error() -> None:
    with pytest.raises(PackError, match="ended before"):
        next_batch(iter([pack()]), BatchShape(2, 8))
