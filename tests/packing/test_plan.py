from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lc_data.packing.plan import PLAN_SCHEMA, PlanBlock, plan_hash


def block(packs: list[int]) -> PlanBlock:
    n = len(packs)
    return PlanBlock(
        pack=np.array(packs, np.int64),
        document=np.arange(n) + 10,
        start=np.zeros(n, np.int64),
        length=np.full(n, 3, np.int32),
        part=np.zeros(n, np.int32),
        span=np.arange(n, dtype=np.int32),
    )


def test_a_block_survives_arrow() -> None:
    table = block([4, 4, 5, 7]).to_table()
    assert table.schema == PLAN_SCHEMA
    again = PlanBlock.from_table(table)
    assert again.to_table().equals(table)
    assert (again.first_pack, again.packs, again.pieces) == (4, 4, 4)
    assert [again.rows_of(pack) for pack in (4, 5, 7)] == [slice(0, 2), slice(2, 3), slice(3, 4)]
    with pytest.raises(IndexError, match="pack 6 is not in this block"):
        again.rows_of(6)


def test_an_empty_block_survives_arrow() -> None:
    empty = PlanBlock.from_table(PLAN_SCHEMA.empty_table())
    assert (empty.packs, empty.pieces) == (0, 0)
    assert empty.to_table().schema == PLAN_SCHEMA


def test_the_hash_sees_contents_and_nothing_else() -> None:
    whole = plan_hash([block([0, 0, 1, 2])], 8)
    parts = block([0, 0, 1, 2])
    rows = [slice(0, 2), slice(2, 4)]
    cut = [PlanBlock(*(getattr(parts, name)[row] for name in parts.__dataclass_fields__)) for row in rows]
    assert plan_hash(cut, 8) == whole
    assert plan_hash([parts], 9) != whole
    for name in PLAN_SCHEMA.names:
        table = parts.to_table()
        changed = table.column(name).to_numpy().copy()
        changed[-1] += 1
        other = table.set_column(PLAN_SCHEMA.get_field_index(name), PLAN_SCHEMA.field(name), [changed])
        assert plan_hash([PlanBlock.from_table(other)], 8) != whole


def test_reading_plans_and_filling_packs_needs_no_compiler() -> None:
    code = (
        "import sys, lc_data.packing.plan, lc_data.packing.fill;"
        "assert not {'numba', 'torch', 'ray', 'scipy'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
