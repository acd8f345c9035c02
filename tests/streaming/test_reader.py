"""A plan or a shard that contradicts the index is refused before any of its tokens is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lc_data import PackedDataset
from lc_data.corpus.plan import PlanError
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError
from tests.streaming.packed_run import PackedRun, next_fit, random_documents


@pytest.fixture
def made(tmp_path: Path) -> PackedRun:
    run = PackedRun(tmp_path, random_documents(30, seed=1, longest=40))
    run.write_bucket()
    return run


def test_a_piece_that_goes_beyond_its_document_is_named(made: PackedRun) -> None:
    (block,) = next_fit(made.lengths, 64, packs_per_block=1000)
    short = int(np.flatnonzero(made.lengths[block.document] < 20)[0])
    start = block.start.copy()
    start[short] = 30
    made.write_plan("pretrain", 64, [replace(block, start=start)])
    document = int(block.document[short])
    with pytest.raises(PlanError, match=f"from 30 on of document {document}, which has {made.lengths[document]}"):
        PackedDataset(made.folder).pack(0)


def test_a_shard_whose_documents_end_elsewhere_than_the_index_says_is_named(made: PackedRun, monkeypatch) -> None:
    made.write_plan("pretrain", 64, next_fit(made.lengths, 64, packs_per_block=10))
    dataset = PackedDataset(made.folder, verify="size")
    opened = TokenizedCorpus.shard

    def moved(corpus: TokenizedCorpus, number: int):
        shard = opened(corpus, number)
        offsets = shard.offsets.copy()
        offsets[1] += 1
        return replace(shard, offsets=offsets)

    monkeypatch.setattr(TokenizedCorpus, "shard", moved)
    with pytest.raises(TokenizedError, match="other lengths than the index says"):
        dataset.pack(0)
