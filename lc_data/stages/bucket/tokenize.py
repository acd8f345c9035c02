"""The first half of bucketing: document shards to tokens, sorted by stratum and order key inside each task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.columns import ColumnReader
from lc_data.corpus.document import DROPPED_SCHEMA, MESSAGE_PART_PREFIX, is_target_part
from lc_data.corpus.fingerprint import stable_order_keys
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_part, write_rows
from lc_data.corpus.tokenized_partial import PartialDocuments, write_partial
from lc_data.engine.task import Task, TaskRecord, about
from lc_data.failure import Failure
from lc_data.lengths.agreement import AgreementSample
from lc_data.lengths.buckets import assign_buckets
from lc_data.lengths.dialogue import Message, Segment, split_dialogue
from lc_data.lengths.gigatoken_encoder import EngineError
from lc_data.lengths.tokenizer import DocumentTokenizer
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.sources import ChatSource, ChatTemplate, EnvironmentSource
from lc_data.stages.bucket.tokenizer import TokenizerSource, load_tokenizer

_LEAST_TASK_BYTES, _MOST_TASK_BYTES, _TASKS = 16 << 20, 256 << 20, 256

NO_TOKENS = "no tokens"
"""Why an empty document is dropped where neither BOS nor EOS is added."""


@dataclass(frozen=True)
class TokenizeJob:
    """A range of one document shard's batches: part ``part`` of ``parts``."""

    shard_uri: str
    part: int
    parts: int
    tokenizer: TokenizerSource
    domains: tuple[str, ...]
    edges_tokens: tuple[int, ...]
    turn_ends: Mapping[str, tuple[str, ...]]
    order_seed: int
    columns: tuple[str, ...] = ()
    """Measures to read from the documents' metadata."""


@dataclass
class _Collected:
    """What a task has tokenised so far."""

    reader: ColumnReader
    sample: AgreementSample = field(default_factory=AgreementSample)
    domains: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    text_bytes: list[int] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    target_spans: list[list[tuple[int, int]] | None] = field(default_factory=list)
    dropped: list[dict] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)
    """one float32 [columns] a document"""


def turn_ends(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """By role, the markers that the recipe's templates put after a message: they are no content.

    Only templates in use count: a marker of another one, at the end of a message, is something that a person wrote.
    """
    templates = [
        source.template
        for source in recipe.sources
        if source.purpose == "sft" and isinstance(source, ChatSource | EnvironmentSource)
    ] or [ChatTemplate()]
    roles = templates[0].turns
    return {role: tuple(sorted({template.turns[role].after for template in templates})) for role in roles}


def plan_tokenizing(folder: StageFolder, shards: Sequence[FileEntry], common: TokenizeJob) -> list[Task]:
    """Tasks of about equal text: a shard's batches (8 MB each) in as many parts as it takes.

    Parts grow with the corpus, up to 256 MB, because grouping opens the result of every part.
    """
    task_bytes = min(max(sum(shard.text_bytes for shard in shards) // _TASKS, _LEAST_TASK_BYTES), _MOST_TASK_BYTES)
    tasks = []
    for number, shard in enumerate(shards):
        parts = max(1, -(-shard.text_bytes // task_bytes))
        for part in range(parts):
            place = {"shard_uri": folder.file(shard.file), "part": part, "parts": parts}
            tasks.append(
                Task(
                    f"{number:06d}-{part:04d}", TokenizeJob(**(vars(common) | place)), max(1, shard.text_bytes // parts)
                )
            )
    return tasks


def partial_uri(folder: StageFolder, key: str) -> str:
    """Where a tokenising task leaves its documents."""
    return storage.join(folder.work_uri, "tokenize", f"{key}.arrow")


def tokenize(task: Task, folder: StageFolder) -> TaskRecord:
    """Tokenise a range of a shard into a partial file.

    Facts: documents that are dialogues, by domain; those that have each column; names of all measures that were met;
    the engine, and why it is not gigatoken.
    """
    job: TokenizeJob = task.payload
    collected, engine = _encode_part(job, load_tokenizer(job.tokenizer))
    codes = {domain: code for code, domain in enumerate(job.domains)}
    documents = PartialDocuments(
        ids=collected.ids,
        domains=[codes[domain] for domain in collected.domains],
        buckets=assign_buckets([len(tokens) for tokens in collected.tokens], job.edges_tokens),
        keys=stable_order_keys(collected.ids, job.order_seed),
        text_bytes=collected.text_bytes,
        tokens=collected.tokens,
        target_spans=collected.target_spans,
        columns=_columns(collected, job.columns),
    )
    write_partial(partial_uri(folder, task.key), documents)
    dropped = write_rows(folder.uri, f"dropped/{task.key}.arrow", collected.dropped, DROPPED_SCHEMA)
    is_dialogue = [spans is not None for spans in collected.target_spans]
    dialogues = Counter(domain for domain, yes in zip(collected.domains, is_dialogue, strict=True) if yes)
    reader = collected.reader
    facts = {"dialogues": dict(dialogues), "columns": dict(reader.documents), "measures": reader.seen, **engine}
    return TaskRecord(dropped=[dropped] if dropped else [], ledger=_ledger(collected), facts=facts)


def engine_facts(records: Sequence[TaskRecord]) -> dict[str, Any]:
    """For the manifest: how many documents each engine encoded, and what kept gigatoken from the rest."""
    documents: Counter[str] = Counter()
    for record in records:
        documents[record.facts["engine"]] += record.ledger.kept().documents
    reasons = {record.facts["why_not_gigatoken"] for record in records} - {None}
    return {"documents": dict(sorted(documents.items())), "why_not_gigatoken": sorted(reasons)}


def _encode_part(job: TokenizeJob, tokenizer: DocumentTokenizer) -> tuple[_Collected, dict[str, Any]]:
    """A part's documents, all of them by one engine that the reference agrees with on a sample, and which it was."""
    engine, why_not = tokenizer.settle_engine(), tokenizer.why_not_gigatoken
    try:
        collected = _collect(job, tokenizer)
        tokenizer.check_sample(collected.sample)
    except EngineError as fault:
        if tokenizer.wanted_engine == "gigatoken":
            raise Failure(f"tokenizer.engine is gigatoken: {fault}; use auto or tokenizers") from fault
        engine, why_not = "tokenizers", str(fault)
        collected = _collect(job, tokenizer.by_reference())
    return collected, {"engine": engine, "why_not_gigatoken": why_not}


def _collect(job: TokenizeJob, tokenizer: DocumentTokenizer) -> _Collected:
    collected = _Collected(ColumnReader(job.columns))
    for batch in read_part(job.shard_uri, job.part, job.parts):
        with about(f"documents {batch['id'][0]} to {batch['id'][-1]} of {job.shard_uri}"):
            measures = collected.reader.read(batch["metadata"].to_pylist())
            _tokenize_batch(batch, tokenizer, job, collected, measures)
    return collected


def _columns(collected: _Collected, names: Sequence[str]) -> dict[str, np.ndarray]:
    table = np.array(collected.columns, np.float32).reshape(len(collected.ids), len(names))
    return {name: table[:, place] for place, name in enumerate(names)}


def _tokenize_batch(
    batch: pa.RecordBatch,
    tokenizer: DocumentTokenizer,
    job: TokenizeJob,
    collected: _Collected,
    measures: np.ndarray,
) -> None:
    texts, ids = batch["text"].to_pylist(), batch["id"].to_pylist()
    for key, document_id, text in zip(stable_order_keys(ids, job.order_seed), ids, texts, strict=True):
        collected.sample.offer(key, document_id, text)
    dialogues: dict[int, list[Segment]] = {}
    for row, parts in enumerate(batch["parts"]):
        messages = _messages(parts.as_py() or [], job.turn_ends)
        if messages:
            with about(f"document {ids[row]}"):
                dialogues[row] = split_dialogue(texts[row], messages)
    plain = iter(tokenizer.encode([text for row, text in enumerate(texts) if row not in dialogues]))
    spoken = iter(tokenizer.encode_dialogues(list(dialogues.values())))
    for row, (document_id, domain) in enumerate(zip(ids, batch["domain"].to_pylist(), strict=True)):
        tokens, spans = next(spoken) if row in dialogues else (next(plain), None)
        size = len(texts[row].encode())
        if not len(tokens):
            collected.dropped.append({"id": document_id, "reason": NO_TOKENS, "domain": domain, "bytes": size})
            continue
        collected.ids.append(document_id)
        collected.domains.append(domain)
        collected.text_bytes.append(size)
        collected.tokens.append(tokens)
        collected.target_spans.append(spans)
        collected.columns.append(measures[row])


def _messages(parts: Sequence[dict], ends: Mapping[str, tuple[str, ...]]) -> list[Message]:
    """The messages among a document's parts: none, unless it is a dialogue."""
    return [
        Message(
            start=part["offset"],
            end=part["offset"] + part["length"],
            turn_ends=ends.get(part["source"].rsplit("/", 1)[-1], ()),
            is_target=is_target_part(part["source"]),
        )
        for part in parts
        if part["source"].startswith(MESSAGE_PART_PREFIX)
    ]


def _ledger(collected: _Collected) -> Ledger:
    ledger = Ledger()
    for domain, size, tokens in zip(collected.domains, collected.text_bytes, collected.tokens, strict=True):
        ledger.come_in(domain, 1, size, len(tokens))
        ledger.keep(domain, 1, size, len(tokens))
    for row in collected.dropped:
        ledger.come_in(row["domain"], 1, row["bytes"])
        ledger.drop(row["domain"], row["reason"], 1, row["bytes"])
    return ledger
