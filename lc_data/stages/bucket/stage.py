"""How the phases of bucketing follow each other, and what the manifest says.

Tokenise once and keep the ids: a length that was counted apart from the tokens it counts is a length that can be
wrong. Documents are shuffled here, within their domain and length bucket, so that later stages read forward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.columns import missing_columns
from lc_data.corpus.fingerprint import child_seed
from lc_data.corpus.ledger import Ledger, LedgerError
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.tokenized_writer import write_columns, write_index
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.lengths.histogram import measure_lengths
from lc_data.recipe.recipe import Recipe
from lc_data.stages.bucket.group import group, plan_shards, read_column, read_lengths
from lc_data.stages.bucket.tokenize import (
    TokenizeJob,
    engine_facts,
    partial_uri,
    plan_tokenizing,
    tokenize,
    turn_ends,
)
from lc_data.stages.bucket.tokenizer import check_tokenizer, settle_tokenizer, tokenizer_config, tokenizer_info


def _config(recipe: Recipe) -> dict[str, Any]:
    return {
        "tokenizer": tokenizer_config(recipe.tokenizer),
        "bucket": recipe.bucket.model_dump(mode="json"),
        "turn_ends": {role: list(ends) for role, ends in turn_ends(recipe).items()},
        "dialogue_domains": recipe.domains("sft"),
        "seed": recipe.seed,
    }


def _work(context: StageContext) -> Outcome:
    recipe, upstream = context.recipe, context.upstream("dedupe")
    source, tokenizer_entry = settle_tokenizer(context)
    info = tokenizer_info(source, recipe.tokenizer)
    domains = tuple(sorted(upstream.ledger.domains))
    edges = recipe.bucket.edges_tokens

    seed = child_seed(recipe.seed, "bucket order")
    common = TokenizeJob("", 0, 1, source, domains, edges, turn_ends(recipe), seed, recipe.bucket.columns)
    tokenizing = plan_tokenizing(context.run.stage("dedupe"), upstream.shards, common)
    tokenized = context.map("tokenize", tokenize, tokenizing)
    ledger = Ledger.merge([_opened(domains), *(record.ledger for record in tokenized)])
    purposes, columns = _purposes(recipe, ledger, tokenized), _columns(recipe, tokenized)

    partials = [partial_uri(context.folder, task.key) for task in tokenizing]
    grouping = plan_shards(partials, info, domains, recipe.bucket)
    grouped = context.map("group", group, grouping)
    shards = _numbered([record.shards[0] for record in grouped])
    _check_tokens(ledger, shards)
    index, histogram = _index(context, grouping, shards, domains)
    return Outcome(
        ledger=ledger,
        shards=shards,
        dropped=[entry for record in tokenized for entry in record.dropped],
        extra=[index, tokenizer_entry, *_write_columns(context, grouping, recipe.bucket.columns)],
        facts={
            "domains": list(domains),
            "purposes": purposes,
            "edges_tokens": list(edges),
            "tokenizer": asdict(info),
            "engines": engine_facts(tokenized),
            "documents": sum(shard.rows for shard in shards),
            "tokens": sum(shard.tokens for shard in shards),
            "histogram": histogram,
            "longest_document": _longest(grouped, shards),
            "columns": columns,
        },
    )


def _opened(domains: Sequence[str]) -> Ledger:
    """A ledger that names every domain, so that one which lost all its documents is still seen."""
    ledger = Ledger()
    for domain in domains:
        ledger.account(domain)
    return ledger


def _purposes(recipe: Recipe, ledger: Ledger, tokenized: Sequence[TaskRecord]) -> dict[str, str]:
    """``sft`` for domains of dialogues, by what their documents are; by the recipe where there are none."""
    dialogues: Counter[str] = Counter()
    for record in tokenized:
        dialogues.update(record.facts["dialogues"])
    declared = recipe.domains("sft")
    purposes = {}
    for domain, account in ledger.domains.items():
        documents, spoken = account.kept.documents, dialogues[domain]
        if spoken not in (0, documents):
            raise Failure(
                f"domain {domain!r} holds {spoken} dialogues and {documents - spoken} plain documents; "
                "give the dialogues a domain of their own"
            )
        purposes[domain] = "sft" if spoken or (domain in declared and not documents) else "pretrain"
    return purposes


def _columns(recipe: Recipe, tokenized: Sequence[TaskRecord]) -> dict[str, Any]:
    """The columns, and how many documents have each; one that none has stops the stage."""
    names = recipe.bucket.columns
    documents: Counter[str] = Counter()
    for record in tokenized:
        documents.update(record.facts["columns"])
    seen = sorted({name for record in tokenized for name in record.facts["measures"]})
    problem = (
        missing_columns(names, documents, seen) if any(record.ledger.kept().documents for record in tokenized) else None
    )
    if problem:
        raise Failure(problem)
    return {"names": list(names), "documents": [documents[name] for name in names]}


def _write_columns(context: StageContext, grouping: Sequence[Task], names: Sequence[str]) -> list[FileEntry]:
    """Write ``columns.arrow``, four bytes a document and column; nothing where the recipe names none."""
    if not names:
        return []
    none = np.zeros(0, np.float32)
    columns = {
        name: pa.array(
            np.concatenate([none, *(read_column(context.folder, task.key, name) for task in grouping)]),
            from_pandas=True,  # NaN becomes null
        )
        for name in names
    }
    return [write_columns(context.folder.uri, columns)]


def _numbered(shards: Sequence[FileEntry]) -> list[FileEntry]:
    """Shards with the number of their first document."""
    first, numbered = 0, []
    for shard in shards:
        numbered.append(shard.model_copy(update={"facts": shard.facts | {"first_document": first}}))
        first += shard.rows
    return numbered


def _check_tokens(ledger: Ledger, shards: Sequence[FileEntry]) -> None:
    kept, stored = ledger.kept().tokens, sum(shard.tokens for shard in shards)
    if kept != stored:
        raise LedgerError(f"stage 'bucket': the ledger kept {kept} tokens, the shards hold {stored}")


def _index(
    context: StageContext, grouping: Sequence[Task], shards: Sequence[FileEntry], domains: tuple[str, ...]
) -> tuple[FileEntry, dict[str, dict[str, list[int]]]]:
    """Write the index, seven bytes a document, and count its rows by domain and bucket."""
    rows = [shard.rows for shard in shards]
    lengths = np.concatenate(
        [np.zeros(0, np.uint32), *(read_lengths(context.folder, task.key) for task in grouping)], dtype=np.uint32
    )
    codes = np.repeat(np.array([domains.index(shard.facts["domain"]) for shard in shards], np.uint16), rows)
    buckets = np.repeat(np.array([shard.facts["bucket"] for shard in shards], np.uint8), rows)
    entry = write_index(context.folder.uri, lengths, codes, buckets)
    counts = measure_lengths(lengths, codes, buckets, len(domains), len(context.recipe.bucket.edges_tokens) + 1)
    return entry, {
        domain: {"documents": counts.documents[code].tolist(), "tokens": counts.tokens[code].tolist()}
        for code, domain in enumerate(domains)
    }


def _longest(grouped: Sequence[TaskRecord], shards: Sequence[FileEntry]) -> dict[str, Any] | None:
    """The longest document of the corpus; the first of several."""
    found = [
        {"id": fact["id"], "domain": fact["domain"], "document": shard.facts["first_document"] + fact["row"],
         "tokens": fact["tokens"]}
        for shard, fact in zip(shards, (record.facts["longest"] for record in grouped), strict=True)
    ]  # fmt: skip
    return max(found, key=lambda one: one["tokens"], default=None)


STAGE = Stage(name="bucket", version=3, upstream=("dedupe",), config=_config, work=_work, check=check_tokenizer)
