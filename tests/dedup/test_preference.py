"""What comes before length."""

from __future__ import annotations

import json

import pyarrow as pa

from lc_data.dedup.preference import rank_documents
from lc_data.recipe.dedupe import Preference


def ranked(rows: list[dict], *keep: Preference) -> list[int]:
    """The rows in the order in which they are kept, equals in their own."""
    columns = {"domain": "d", "source": "s", "license": None, "metadata": None}
    batch = pa.RecordBatch.from_pylist(
        [columns | row for row in rows],
        schema=pa.schema([(name, pa.string()) for name in columns]),
    )
    ranks = rank_documents(batch, keep).tolist()
    return sorted(range(len(rows)), key=ranks.__getitem__)


def dated(*dates: str | int | None) -> list[dict]:
    return [{"metadata": json.dumps({"created": date})} for date in dates]


def test_values_come_in_their_order_and_those_not_named_last():
    rows = [{"license": name} for name in ("other", "mit", None, "cc0")]
    assert ranked(rows, Preference(by="license", order=("cc0", "mit"))) == [3, 1, 0, 2]


def test_a_source_is_named_whole_or_by_its_beginning():
    rows = [{"source": name} for name in ("books2/a.txt", "a/b@12:x.md", "books/a.txt@4", "a/b2@12:x.md")]
    assert ranked(rows, Preference(by="source", order=("books", "a/b"))) == [2, 1, 0, 3]


def test_dates_from_the_newest_or_the_oldest_and_without_one_last():
    rows = [*dated("2004-05-06", None, "1869", 2021, "2021-03-04T05:06", "soon", "2021-03", "20210305"), {}]
    assert ranked(rows, Preference(by="date")) == [7, 4, 6, 3, 0, 2, 1, 5, 8]
    assert ranked(rows, Preference(by="date", first="oldest")) == [2, 0, 3, 6, 4, 7, 1, 5, 8]
    assert ranked(rows, Preference(by="date", field="issued")) == list(range(9))


def test_the_first_preference_decides_and_the_next_among_equals():
    rows = [row | {"domain": name} for row, name in zip(dated("2001", "2002", "2003"), "bab", strict=True)]
    assert ranked(rows, Preference(by="domain", order=("a", "b")), Preference(by="date")) == [1, 2, 0]
    assert ranked(rows, Preference(by="date"), Preference(by="domain", order=("a", "b"))) == [2, 1, 0]
    assert ranked(rows) == [0, 1, 2]
