"""Many parts and batches on a small corpus, and a tokenizer for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lc_data.corpus import shard as document_shard
from lc_data.stages.bucket import tokenize
from tests.lengths.texts import small_tokenizer


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    """Many parts and batches on a small corpus."""
    monkeypatch.setattr(tokenize, "_LEAST_TASK_BYTES", 20_000)
    monkeypatch.setattr(document_shard, "BATCH_BYTES", 5_000)


@pytest.fixture(scope="session")
def tokenizer_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tiny" / "tokenizer.json"
    path.parent.mkdir()
    path.write_text(small_tokenizer())
    return path
