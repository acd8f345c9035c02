from __future__ import annotations

import numpy as np
import pytest

from lc_data.augment.parts import SOURCE
from lc_data.corpus.derived import PartsTable
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.corpus.verify_derived import verify_derived
from lc_data.corpus.verify_plan import verify_plans
from tests.stages.augmented import augmented
from tests.stages.test_pack import blocks_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return augmented(tmp_path_factory.mktemp("augment") / "run")


def test_every_token_that_was_drawn_is_in_the_plan_once_whatever_became_of_its_document(made):
    run, manifest, packed = made
    corpus = TokenizedCorpus.open(run)
    assert manifest.facts["documents"] == corpus.document_count - corpus.bucketed_count > 10
    held = np.zeros(corpus.bucketed_count, np.int64)
    tables = {entry.facts["first_document"]: PartsTable(run.stage("augment"), entry.file) for entry in manifest.shards}
    for purpose in ("pretrain", "held_out", "sft"):
        for block in blocks_of(run, packed, purpose):
            base = block.document < corpus.bucketed_count
            np.add.at(held, block.document[base], block.length[base])
            for document, start, length in zip(
                block.document[~base].tolist(), block.start[~base], block.length[~base], strict=True
            ):
                assert (start, length) == (0, corpus.length[document])
                first = max(number for number in tables if number <= document)
                parts = tables[first].of(document - first)
                parts = parts.take(parts.role == SOURCE)
                np.add.at(held, parts.source, parts.length)
    expected = corpus.length[: corpus.bucketed_count].astype(np.int64)
    expected[expected == 5000] = 0  # a dialogue longer than a row
    assert held.tolist() == expected.tolist()
    assert not list(verify_derived(run))
    assert not list(verify_plans(run))
