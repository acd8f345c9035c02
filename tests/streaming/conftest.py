from __future__ import annotations

from pathlib import Path

import pytest

from tests.streaming.packed_run import PackedRun, next_fit, random_documents

SEQ_LEN = 33


def make_run(folder: Path) -> PackedRun:
    made = PackedRun(folder, random_documents(29, seed=5, longest=90))
    made.write_bucket()
    made.write_plan("pretrain", SEQ_LEN, next_fit(made.lengths, SEQ_LEN, packs_per_block=7))
    return made


@pytest.fixture(scope="package")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedRun:
    """29 documents of 1 to 90 tokens in rows of 33, several shards and several blocks; tests only read it."""
    return make_run(tmp_path_factory.mktemp("packed") / "run")


@pytest.fixture
def spoilt(tmp_path: Path) -> PackedRun:
    """The same, for tests that damage it."""
    return make_run(tmp_path / "run")
