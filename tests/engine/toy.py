"""A toy stage: one document per letter, with a log of what was attempted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lc_data.corpus.document import DOCUMENT_SCHEMA
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import write_documents
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord, about

RECIPE = """
name: toy
sources: [{name: a, kind: jsonl, paths: [a.jsonl], domain: d}]
tokenizer: {train: {vocab_size: 1024}}
"""


@dataclass(frozen=True)
class Letter:
    letter: str
    attempts: str
    fails: str = ""
    seconds: float = 0.0


def write_letter(task: Task, folder: StageFolder) -> TaskRecord:
    letter: Letter = task.payload
    with Path(letter.attempts).open("a") as log:
        log.write(letter.letter)
    time.sleep(letter.seconds)
    if letter.letter == letter.fails:
        with about(f"document {letter.letter}-1"):
            raise ValueError("cannot be")
    rows = [{"id": letter.letter, "text": letter.letter * 3, "domain": "d", "source": "s"}]
    entry = write_documents(
        folder.uri, f"shards/{task.key}.arrow", [pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)]
    )
    ledger = Ledger()
    ledger.come_in("d", 1, 3)
    ledger.keep("d", 1, 3)
    return TaskRecord(shards=[entry], ledger=ledger)


def toy_stage(attempts, fails: str = "", letters: str = "abcd", seconds: float = 0.0) -> Stage:
    def work(context: StageContext) -> Outcome:
        tasks = [Task(letter, Letter(letter, str(attempts), fails, seconds)) for letter in letters]
        records = context.map("write", write_letter, tasks)
        return Outcome.of(records)

    return Stage("ingest", 1, (), lambda recipe: {"letters": letters, "pack": recipe.pack.seq_len}, work)
