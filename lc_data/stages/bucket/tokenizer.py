"""The tokenizer of a run: copied from where the recipe says, or trained on a sample of the run's own documents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import child_seed, file_checksum, stable_order_keys
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_batches, read_table
from lc_data.corpus.tokenized import TokenizerInfo
from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.lengths.sample import Sample
from lc_data.lengths.tokenizer import DocumentTokenizer, Engine, TokenizerError
from lc_data.lengths.train import train_bpe
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.tokens import TokenizerSection, TrainTokenizer

TOKENIZER_FILE = "tokenizer.json"

_SAMPLE_SCHEMA = pa.schema([
    pa.field("key", pa.uint64(), nullable=False),
    pa.field("id", pa.string(), nullable=False),
    pa.field("text", pa.large_string(), nullable=False),
])  # fmt: skip


@dataclass(frozen=True)
class TokenizerSource:
    """A tokenizer.json and the policy it is used with, in a form that travels to workers."""

    uri: str = field(compare=False)
    """Where it lies; what it is, its hash says."""
    hash: str
    bos: str | None
    eos: str | None
    engine: Engine = "auto"


@dataclass(frozen=True)
class _SampleJob:
    shard_uri: str
    seed: int
    max_bytes: int


@dataclass(frozen=True)
class _TrainJob:
    samples: tuple[str, ...]
    train: TrainTokenizer


def tokenizer_config(section: TokenizerSection) -> dict[str, Any]:
    """What the tokens depend on: a given file by its content, wherever it lies; RecipeError when it is not there."""
    config = section.model_dump(mode="json", exclude={"path", "engine"})
    if section.path is not None:
        if not storage.exists(section.path):
            raise RecipeError(
                f"tokenizer.path {section.path!r} does not exist; give the path or URI of a tokenizer.json"
            )
        config |= {"name": _name(section), "hash": file_checksum(section.path)}
    return config


def check_tokenizer(recipe: Recipe) -> None:
    """Raise RecipeError when the recipe's tokenizer cannot do what it asks; cheap enough to ask before any work.

    One that is yet to be trained passes: what can be wrong with it, the recipe's own validation has seen.
    """
    section = recipe.tokenizer
    if section.path is None:
        return
    source = TokenizerSource(section.path, tokenizer_config(section)["hash"], section.bos, section.eos, section.engine)
    try:
        tokenizer = load_tokenizer(source)
        if section.engine == "gigatoken":
            tokenizer.settle_engine()
    except (TokenizerError, UnicodeDecodeError) as error:
        raise RecipeError(f"tokenizer.path {section.path!r}: {error}") from error
    dialogues = recipe.domains("sft")
    if dialogues and not tokenizer.joins_segments:
        raise RecipeError(
            f"tokenizer.path {section.path!r} puts a space before every text it encodes (add_prefix_space), so the "
            f"dialogues of {dialogues[0]!r} cannot be encoded by their messages; take a tokenizer that does not"
        )


def settle_tokenizer(context: StageContext) -> tuple[TokenizerSource, FileEntry]:
    """Put the tokenizer.json into the stage's folder, copied or trained; its entry is for the manifest."""
    section = context.recipe.tokenizer
    if section.train is None:
        task = Task(Path(TOKENIZER_FILE).stem, _absolute(section.path or ""))
        [record] = context.map("tokenizer", copy_tokenizer, [task])
        expected = tokenizer_config(section)["hash"]
        if record.extra[0].checksum != expected:
            raise Failure(f"{section.path} changed while it was copied; run again")
    else:
        record = _train(context, section.train)
    entry = record.extra[0]
    uri = context.folder.file(entry.file)
    return TokenizerSource(uri, entry.checksum, section.bos, section.eos, section.engine), entry


def tokenizer_info(source: TokenizerSource, section: TokenizerSection) -> TokenizerInfo:
    """What shards and manifest say of the tokenizer."""
    tokenizer = load_tokenizer(source)
    return TokenizerInfo(
        name=_name(section),
        file=TOKENIZER_FILE,
        hash=source.hash,
        vocab_size=tokenizer.vocab_size,
        bos_id=tokenizer.bos_id,
        eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id,
    )


@lru_cache(maxsize=1)
def load_tokenizer(source: TokenizerSource) -> DocumentTokenizer:
    """The tokenizer, loaded once in a process (a vocabulary of 150,000 takes a second), on one thread.

    It is kept by its hash, so that what the check of the recipe loaded serves the stage as well, and gigatoken's half
    is loaded only where something is encoded.

    Tasks are what runs in parallel; threads inside them would only take each other's cores.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return DocumentTokenizer(storage.read_bytes(source.uri).decode(), source.bos, source.eos, source.engine)


def copy_tokenizer(task: Task, folder: StageFolder) -> TaskRecord:
    """Copy a tokenizer.json, byte for byte."""
    return TaskRecord(extra=[_write(folder, storage.read_bytes(task.payload))])


def sample_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Sample the documents of one shard for training, by the hash of their ids."""
    job: _SampleJob = task.payload
    sample = Sample(job.max_bytes)
    for batch in read_batches(job.shard_uri):
        ids = batch["id"].to_pylist()
        for key, document_id, text in zip(stable_order_keys(ids, job.seed), ids, batch["text"], strict=True):
            sample.offer(key, document_id, text.as_py())
    rows = [document._asdict() for document in sample.documents()]
    uri = storage.join(folder.work_uri, "sample", f"{task.key}.arrow")
    with storage.create(uri) as sink, pa.ipc.new_file(sink, _SAMPLE_SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=_SAMPLE_SCHEMA))
    return TaskRecord(facts={"sample": uri})


def train_tokenizer(task: Task, folder: StageFolder) -> TaskRecord:
    """Train on the samples of all shards."""
    job: _TrainJob = task.payload
    sample = Sample(job.train.sample_bytes)
    for key, document_id, text in _sampled(job.samples):
        sample.offer(key, document_id, text)
    definition = train_bpe(sample.texts(), job.train.vocab_size, job.train.special_tokens)
    return TaskRecord(extra=[_write(folder, definition.encode())])


def _train(context: StageContext, train: TrainTokenizer) -> TaskRecord:
    folder, shards = context.run.stage("dedupe"), context.upstream("dedupe").shards
    seed = child_seed(context.recipe.seed, "tokenizer sample")
    tasks = [
        Task(f"{number:06d}", _SampleJob(folder.file(shard.file), seed, train.sample_bytes), shard.text_bytes)
        for number, shard in enumerate(shards)
    ]
    samples = tuple(record.facts["sample"] for record in context.map("sample", sample_shard, tasks))
    [record] = context.map("tokenizer", train_tokenizer, [Task(Path(TOKENIZER_FILE).stem, _TrainJob(samples, train))])
    return record


def _sampled(uris: tuple[str, ...]) -> Iterator[tuple[int, str, str]]:
    for uri in uris:
        for row in read_table(uri).to_pylist():
            yield row["key"], row["id"], row["text"]


def _write(folder: StageFolder, definition: bytes) -> FileEntry:
    uri = folder.file(TOKENIZER_FILE)
    storage.write_atomic(uri, definition)
    return FileEntry(file=TOKENIZER_FILE, rows=0, bytes=len(definition), checksum=file_checksum(uri))


def _name(section: TokenizerSection) -> str:
    """A name for people: the folder of a tokenizer.json, or what was trained."""
    if section.train is not None:
        return f"bpe-{section.train.vocab_size}"
    path = Path(section.path or "")
    return path.parent.name if path.name == TOKENIZER_FILE and path.parent.name else path.stem


def _absolute(uri: str) -> str:
    """A relative path means something only where the recipe was read; workers stand elsewhere."""
    return str(storage.local_path(uri).absolute()) if storage.is_local(uri) else uri
