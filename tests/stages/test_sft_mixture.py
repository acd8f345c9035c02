"""Long and general dialogues are domains of the SFT mixture: drawn by share, packed whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.stages import balance, pack
from tests.stages.bucketed import write_bucketed
from tests.stages.test_balance import EDGES, recipe
from tests.stages.test_pack import blocks_of

LENGTHS = {"general": [*range(20, 220)] * 2, "long": [*range(600, 1500, 6)], "web": [*range(10, 90)]}


@pytest.mark.parametrize("long_share", [0.375, 0.8])
def test_dialogues_are_mixed_by_share_and_never_cut(tmp_path: Path, long_share: float) -> None:
    run = RunFolder(str(tmp_path))
    write_bucketed(run, LENGTHS, EDGES, sft=("general", "long"))
    kinds = {"general": "chat", "long": "chat", "web": "jsonl"}
    made = recipe(
        sources=[{"name": name, "kind": kind, "paths": ["x"], "domain": name} for name, kind in kinds.items()],
        sft_mixture={
            "budget_tokens": 60_000,
            "weights": {"long": long_share, "general": 1 - long_share},
            "held_out": {"share": 0},
        },
        pack={"seq_len": 2048, "block_packs": 8, "global_batch_packs": 2},
    )
    for stage in (balance.STAGE, pack.STAGE):
        manifest = bring_up_to_date(stage, made, run, SerialBackend()).manifest
    facts = manifest.facts["plans"]["sft"]
    assert set(facts["tokens_by_domain"]) == {"general", "long"}
    assert facts["tokens_by_domain"]["long"] / facts["tokens"] == pytest.approx(long_share, abs=0.01)
    assert facts["tokens"] == pytest.approx(60_000, rel=0.01)
    length = TokenizedCorpus.open(run).length
    for block in blocks_of(run, manifest, "sft"):
        assert np.array_equal(block.length, length[block.document])
        assert not block.start.any()
