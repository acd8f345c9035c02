from __future__ import annotations

from lc_data.bench.augment import bench_augment
from tests.bench.test_benches import assert_whole


def test_both_transforms_are_compared_with_plain_packing():
    result = bench_augment(tokens=1_000_000, rounds=1)
    assert_whole(result, 4)
    assert [row.bar for row in result.rows] == [None, 0.5, None, 0.5]
