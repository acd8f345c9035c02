"""What a run shares with evaluations, as its files tell."""

from __future__ import annotations

from lc_data.corpus.contaminations import read_contaminations
from lc_data.stages.filter import STAGE
from tests.stages.ingested import bring, publish
from tests.stages.test_contamination import BENCH, NEEDLE, ROWS, evaluations  # noqa: F401 (a fixture)


def test_the_dropped_come_first_and_every_stretch_is_counted(tmp_path, evaluations):  # noqa: F811
    run = publish(tmp_path / "run", ROWS, shard_rows=3)
    bring(STAGE, run, evaluations)
    found = read_contaminations(run.uri, 100)
    assert found.total == len(found.rows) == 6
    assert found.counts == {
        "l_eval/answer": {"dropped": 1},
        "longbench/context": {"dropped": 1, "reported": 1},
        "longbench/question": {"dropped": 1},
        "mine/question": {"dropped": 1},
        "needle/answer": {"dropped": 1},
    }
    assert [row.decision for row in found.rows] == ["dropped"] * 5 + ["reported"]
    assert [row.document for row in found.rows[-2:]] == ["clock", "quotes"]
    needle = next(row for row in found.rows if row.document == "needle")
    assert (needle.evaluation, needle.file, needle.item, needle.kind) == ("needle", "needles.jsonl", 0, "answer")
    text = next(row["text"] for row in ROWS if row["id"] == "needle")
    assert text[slice(*needle.span)] == NEEDLE["needle"].strip().rstrip(".")
    quoted = found.rows[-1]
    assert quoted.span == (0, len(BENCH["context"]) - 1)
    assert quoted.beginning == BENCH["context"][:-1]


def test_no_more_rows_than_asked_for(tmp_path, evaluations):  # noqa: F811
    run = publish(tmp_path / "run", [ROWS[3], *ROWS], shard_rows=2)
    bring(STAGE, run, evaluations)
    whole = read_contaminations(run.uri, 100)
    for limit in (0, 1, 4, 6):
        few = read_contaminations(run.uri, limit)
        assert (few.total, few.counts) == (whole.total, whole.counts)
        assert few.rows == whole.rows[:limit]


def test_a_run_that_looked_for_nothing_has_none(tmp_path):
    run = publish(tmp_path / "run", ROWS)
    assert read_contaminations(run.uri, 5).total == 0
    bring(STAGE, run)
    assert read_contaminations(run.uri, 5).rows == ()
