"""The plan that is measured is a real one, and what it cuts or loses is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lc_data.bench.pack_plan import SyntheticCorpus, count_losses, measure_plan
from lc_data.packing.planner import plan_packs
from lc_data.recipe.packing import PackSection

SEQ_LEN = 4096


def test_every_promise_of_a_plan_has_a_row_with_its_bar():
    rows = {row.what: row for row in measure_plan(20_000, SEQ_LEN) if row.bar is not None}
    assert len(rows) == 5
    assert rows["whole plan, documents <= seq_len cut"].ours == 0
    assert rows["whole plan, tokens lost"].ours == 0
    assert rows["whole plan, fill"].ours > 0.99


def test_what_is_cut_or_lost_is_counted():
    corpus = SyntheticCorpus.of(3_000, seed=1)
    planned = list(plan_packs([corpus.draws(SEQ_LEN)], PackSection(seq_len=SEQ_LEN), 0))
    assert count_losses(corpus.length, planned, SEQ_LEN) == (0, 0)
    concat = list(plan_packs([corpus.draws(SEQ_LEN)], PackSection(seq_len=SEQ_LEN, method="concat"), 0))
    cut, lost = count_losses(corpus.length, concat, SEQ_LEN)
    assert (cut > 100, lost) == (True, 0)
    first = planned[0]
    short = int(np.flatnonzero(corpus.length[first.block.document] <= SEQ_LEN)[0])
    keep = np.arange(first.block.pieces) != short
    gone = int(first.block.length[short])
    assert count_losses(corpus.length, [replace(first, block=first.block.take(keep)), *planned[1:]], SEQ_LEN) == (
        1,
        gone,
    )
    with pytest.raises(ValueError, match="the same tokens"):
        count_losses(corpus.length, [*planned, first], SEQ_LEN)
