from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.token_chunks import ChunkCheck, chunk_checksums


@given(st.integers(1, 50), st.integers(1, 9), st.data())
def test_a_change_is_found_where_it_is_read_and_nowhere_else(count: int, chunk: int, data: st.DataObject) -> None:
    tokens = np.arange(count, dtype=np.uint16)
    written = chunk_checksums(tokens, chunk)
    assert len(written) == 16 * -(-count // chunk)
    at = data.draw(st.integers(0, count - 1))
    begin = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(begin + 1, count))
    changed = tokens.copy()
    changed[at] ^= 1
    touched = begin // chunk <= at // chunk <= (end - 1) // chunk
    expected = at // chunk * chunk if touched else None
    assert ChunkCheck(chunk, written).first_changed(changed, begin, end) == expected
    assert ChunkCheck(chunk, written).first_changed(tokens, begin, end) is None


def test_what_was_checked_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = np.arange(40, dtype=np.int32)
    check = ChunkCheck(10, chunk_checksums(tokens, 10))
    assert check.first_changed(tokens, 5, 25) is None
    tokens[:30] = 0
    assert check.first_changed(tokens, 0, 30) is None
    assert check.first_changed(tokens, 29, 31) is None
    tokens[35] = 0
    assert check.first_changed(tokens, 30, 40) is None  # compared a line above
