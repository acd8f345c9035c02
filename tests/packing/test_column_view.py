from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.column_view import view_column


@given(
    st.lists(st.integers(0, 100), max_size=20),
    st.integers(0, 25),
    st.integers(0, 25),
    st.sampled_from([pa.uint8(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.float32()]),
)
def test_a_view_is_what_arrow_gives(values: list[int], begin: int, length: int, kind: pa.DataType) -> None:
    array = pa.array(values, kind).slice(begin, length)
    expected = array.to_numpy()
    assert view_column(array).dtype == expected.dtype
    assert np.array_equal(view_column(array), expected)


def test_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="1 nulls"):
        view_column(pa.array([1, None], pa.int32()))


def test_viewing_a_mapped_column_imports_no_pandas(tmp_path) -> None:
    path = tmp_path / "numbers.arrow"
    table = pa.table({"number": [1, 2, 3]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    code = (
        "import sys, pyarrow as pa\n"
        "from lc_data.packing.column_view import view_column\n"
        f"table = pa.ipc.open_file(pa.memory_map({str(path)!r})).read_all()\n"
        "assert view_column(table['number'].combine_chunks()).tolist() == [1, 2, 3]\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
