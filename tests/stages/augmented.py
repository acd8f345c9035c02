"""A run with transformed documents, made directly: what the tests of the stage begin with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.storage import write_atomic
from lc_data.engine.backend import Backend, SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.stages import augment, balance, pack
from tests.stages import bucketed
from tests.stages.test_balance import EDGES, LENGTHS, recipe

NAMES = {"head": "<|head|>", "tail": "<|tail|>", "trace": "<|trace|>", "end": "<|end|>"}
SPECIAL = {name: 1000 + place for place, name in enumerate(NAMES.values())}
DIGITS = {str(digit): 1004 + digit for digit in range(10)}
MANY = LENGTHS | {"web": [*range(10, 250), 0], "books": [2500, 1800, 400, 150, *range(20, 120)]}
UNTIE = {"name": "untie_knots", "share": 0.4, "tokens": NAMES, "min_chunk_tokens": 5, "id_digits": 2}
INTERLEAVE = {"name": "interleave", "share": 0.2, "min_chunk_tokens": 5}
TRAIN = {"train": {"special_tokens": ["<|endoftext|>", *NAMES.values()]}}
BOTH = {"augment": [UNTIE, INTERLEAVE], "tokenizer": TRAIN}


@contextmanager
def larger_vocabulary() -> Iterator[None]:
    """The tokens of documents are below 1,000; knots and digits are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucketed, "TOKENIZER", replace(bucketed.TOKENIZER, vocab_size=1020))
        yield


def publish_bucket(place: Path, lengths: dict[str, list[int]] = MANY) -> RunFolder:
    """Publish RUN/bucket with a tokenizer that has the special tokens."""
    run = RunFolder(str(place))
    with larger_vocabulary():
        bucketed.write_bucketed(run, lengths, EDGES, sft=("chat",))
    added = [{"content": name, "id": number} for name, number in SPECIAL.items()]
    definition = {"added_tokens": added, "model": {"vocab": DIGITS}}
    write_atomic(run.stage("bucket").file("tokenizer.json"), json.dumps(definition).encode())
    return run


def augmented(
    place: Path, lengths: dict[str, list[int]] = MANY, backend: Backend | None = None, **keys: Any
) -> tuple[RunFolder, Manifest, Manifest]:
    """Publish RUN up to pack; returns the manifests of augment and pack."""
    run = publish_bucket(place, lengths)
    asked = recipe(**(BOTH | keys))
    backend = backend or SerialBackend()
    bring_up_to_date(balance.STAGE, asked, run, backend)
    made = bring_up_to_date(augment.STAGE, asked, run, backend).manifest
    return run, made, bring_up_to_date(pack.AUGMENTED, asked, run, backend).manifest
