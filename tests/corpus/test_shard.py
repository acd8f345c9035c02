from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus import shard
from lc_data.corpus.document import DOCUMENT_SCHEMA


def table_of(texts: list[str]) -> pa.Table:
    rows = [{"id": str(i), "text": text, "domain": "d", "source": "s"} for i, text in enumerate(texts)]
    return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 7), st.integers(1, 30))
def test_batches_are_bounded_and_do_not_depend_on_grouping(lengths, group, bound):
    table = table_of(["x" * length for length in lengths])
    parts = [table.slice(start, group) for start in range(0, table.num_rows, group)]
    original, shard.BATCH_BYTES = shard.BATCH_BYTES, bound
    try:
        whole = [batch.num_rows for batch in shard.bound_batches([table])]
        grouped = [batch.num_rows for batch in shard.bound_batches(parts)]
        batches = list(shard.bound_batches(parts))
    finally:
        shard.BATCH_BYTES = original
    assert whole == grouped
    assert sum(whole) == len(lengths)
    assert all(shard.sum_bytes(batch) <= bound or batch.num_rows == 1 for batch in batches)


def test_a_shard_reads_back_as_written_and_its_entry_tells_the_truth(tmp_path):
    table = table_of(["a" * 10, "", "长文档", "b" * 5])
    entry = shard.write_documents(str(tmp_path), "shards/x.arrow", [table.slice(0, 2), table.slice(2)])
    assert shard.read_table(str(tmp_path / "shards/x.arrow")).equals(table)
    assert (entry.rows, entry.text_bytes) == (4, 10 + 9 + 5)
    assert entry.bytes == (tmp_path / "shards/x.arrow").stat().st_size
    again = shard.write_documents(str(tmp_path), "shards/y.arrow", [table])
    assert again.checksum == entry.checksum
