"""The scratch runs of an estimate: the recipe's own stages over what was read, and over a sample of it.

Duplicates belong to the corpus, so dedupe runs over all that was read, before the filter and not after it. A document
that goes here for one that the filter would have dropped is the price: of 40,361 documents in eight domains 14 went so,
0.08% of the text, because the filter judges near-duplicates alike. Filter and tokenizer judge documents one by one, so
a sample of what is left is enough for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus.fingerprint import child_seed, fingerprint
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry, Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import bound_batches, read_batches, sum_bytes, write_documents
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.stage import Stage, StageContext, StageReport, bring_up_to_date
from lc_data.forecast.meter import MeteredBackend
from lc_data.forecast.population import Findings, LongUnseen, Marks, Population, choose_sample
from lc_data.forecast.reading import Reading, plan_bytes
from lc_data.recipe.recipe import Recipe
from lc_data.stages import bucket, dedupe, filter, ingest  # noqa: A004

LEAST_SAMPLE_BYTES, MOST_SAMPLE_BYTES = 16 << 20, 256 << 20
"""Of the text that dedupe leaves, the filter and the tokenizer see 1%, within these bounds."""
SMALL_BYTES = 64 << 20
"""A corpus of so much text goes through all stages: a sample with some documents of every size is most of it."""
_SHARDS = 32


@dataclass(frozen=True)
class Trial:
    """What the scratch runs found."""

    recipe: Recipe
    read: RunFolder
    """Everything that was read, through dedupe."""
    looked: RunFolder
    """The sample, through bucket. The same run where the sample is all there is."""
    reports: dict[str, StageReport]
    population: Population | None
    """None where the sample is all there is: nothing is left to estimate."""
    findings: Findings | None
    columns: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """``bucket.columns`` of the population's sampled documents, [n]; NaN for all others."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the bucket stage says of domains, purposes, edges and tokenizer."""
        return self.looked.stage("bucket").manifest().facts


def read_sources(recipe: Recipe, reading: Reading, run: RunFolder, backend: MeteredBackend) -> StageReport:
    """Ingest, over what was chosen to be read."""
    stage = Stage("ingest", ingest.STAGE.version, (), ingest.configure, lambda it: ingest.read_plans(it, reading.plans))
    return bring_up_to_date(stage, recipe, run, backend)


def try_out(recipe: Recipe, reading: Reading, folder: Path, backend: MeteredBackend) -> Trial:
    """Run the stages up to bucket: all over everything where that is little, and over a sample otherwise."""
    read = RunFolder(str(folder / "read"))
    reports = {"ingest": read_sources(recipe, reading, read, backend)}
    if reading.is_whole and reports["ingest"].manifest.ledger.kept().bytes <= SMALL_BYTES:
        for stage in (filter.STAGE, dedupe.STAGE, bucket.STAGE):
            reports[stage.name] = bring_up_to_date(stage, recipe, read, backend)
        return Trial(recipe, read, read, reports, None, None)
    pass_on(read, "filter", "ingest")
    # An alarm is for what the filter leaves: here its limits are compared later, and only said.
    quiet = recipe.dedupe.model_copy(update={"max_loss": 1.0, "max_loss_by_domain": {}})
    reports["dedupe"] = bring_up_to_date(dedupe.STAGE, recipe.model_copy(update={"dedupe": quiet}), read, backend)
    domains = sorted(name for name, each in reports["dedupe"].manifest.ledger.domains.items() if each.kept.documents)
    population = _population(reading, read, reports, domains)
    wanted = min(max(int(population.size_bytes.sum()) // 100, LEAST_SAMPLE_BYTES), MOST_SAMPLE_BYTES)
    sampled = choose_sample(population, wanted, child_seed(recipe.seed, "plan sample"))
    looked = RunFolder(str(folder / "looked"))
    ids = _copy_sample(read, looked, sampled, recipe.seed)
    reports["filter"] = bring_up_to_date(filter.STAGE, recipe, looked, backend)
    pass_on(looked, "dedupe", "filter")
    section = _settle(recipe, read, backend)
    reports["bucket"] = bring_up_to_date(bucket.STAGE, section, looked, backend)
    findings, columns = _findings(looked, sampled, ids)
    return Trial(recipe, read, looked, reports, population, findings, columns)


def pass_on(run: RunFolder, stage: str, upstream: str) -> None:
    """Publish a stage that keeps every document of its upstream, without a copy."""
    manifest = run.stage(upstream).manifest()
    folder = Path(run.stage(stage).uri)
    folder.mkdir()
    (folder / "shards").symlink_to(Path("..", upstream, "shards"))
    ledger = Ledger()
    for domain, account in manifest.ledger.domains.items():
        kept = account.kept
        ledger.come_in(domain, kept.documents, kept.bytes)
        ledger.keep(domain, kept.documents, kept.bytes)
    mark = fingerprint(["passed on", stage, manifest.fingerprint])
    there = Manifest(
        stage=stage, fingerprint=mark, upstream={upstream: manifest.fingerprint}, shards=manifest.shards,
        ledger=ledger, seed=manifest.seed,
    )  # fmt: skip
    write_manifest(run.stage(stage).manifest_uri, there)


def _population(reading: Reading, read: RunFolder, reports: dict[str, StageReport], domains: list[str]) -> Population:
    """The documents that dedupe left, in the order of its shards."""
    plans = {plan.key: number for number, plan in enumerate(reading.plans)}
    pieces = [_piece(entry.file, plans) for entry in reports["ingest"].manifest.shards]
    code, size, cluster = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for entry in reports["dedupe"].manifest.shards:
        piece = pieces[int(Path(entry.file).stem)]
        for batch in read_batches(read.stage("dedupe").file(entry.file)):
            code.append(pc.index_in(batch["domain"], pa.array(domains)).to_numpy().astype(np.int64))
            size.append(pc.binary_length(batch["text"]).to_numpy().astype(np.int64))
            cluster.append(np.full(batch.num_rows, piece))
    cluster_of = np.concatenate(cluster)
    factors = np.array([reading.factors[plan.source.name] for plan in reading.plans])
    sized = np.array([reading.sized[plan.source.name] for plan in reading.plans])
    long_unseen = tuple(_long_unseen(reading, {reading.plans[number].key for number in pieces}, domains))
    return Population(
        np.concatenate(code), np.concatenate(size), cluster_of, factors[cluster_of], sized[cluster_of], long_unseen
    )


def _long_unseen(reading: Reading, filled: set[str], domains: list[str]) -> Iterator[LongUnseen]:
    """How much may lie in documents longer than a range, by source: as much as the ranges in which none begins say.

    Three more than were seen are allowed for (the rule of three), and two standard deviations of their number.
    """
    for name, factor in reading.factors.items():
        plans = reading.ranges(name)
        if not plans or plans[0].source.domain not in domains:
            continue
        empty = sum(plan.key not in filled for plan in plans)
        share = min(1.0, (empty + 3 + 2 * empty**0.5) / len(plans))
        read_bytes = sum(map(plan_bytes, plans))
        code = domains.index(plans[0].source.domain)
        yield LongUnseen(code, read_bytes / len(plans), share * factor * read_bytes, factor, empty)


def _piece(file: str, plans: dict[str, int]) -> int:
    """The number of the plan that a shard of ingest was read by: its name begins with the plan's key."""
    stem = Path(file).stem.removesuffix("-unique")
    return plans[stem.rpartition("-")[0]]


def _copy_sample(read: RunFolder, looked: RunFolder, sampled: Marks, seed: int) -> list[str]:
    """Publish the sampled documents as a run's ingest stage; their ids, in order."""
    ids: list[str] = []
    ledger = Ledger()
    folder = looked.stage("ingest").uri
    shards: list[FileEntry] = []
    held: list[pa.RecordBatch] = []
    upstream = read.stage("dedupe").manifest()
    shard_bytes = max(sum(entry.text_bytes for entry in upstream.shards) * sampled.mean() / _SHARDS, 1 << 20)

    def flush() -> None:
        if held:
            name = f"shards/{len(shards):05d}.arrow"
            shards.append(write_documents(folder, name, [pa.Table.from_batches(held)]))
            held.clear()

    for batch in bound_batches(_marked(read, upstream, sampled)):
        ids += batch["id"].to_pylist()
        for domain, size in zip(batch["domain"].to_pylist(), pc.binary_length(batch["text"]).to_pylist(), strict=True):
            ledger.come_in(domain, 1, size)
            ledger.keep(domain, 1, size)
        held.append(batch)
        if sum(map(sum_bytes, held)) >= shard_bytes:
            flush()
    flush()
    facts = read.stage("ingest").manifest().facts
    manifest = Manifest(
        stage="ingest", fingerprint=fingerprint(["sampled", upstream.fingerprint]), shards=shards, ledger=ledger,
        seed=seed, facts=facts,
    )  # fmt: skip
    write_manifest(looked.stage("ingest").manifest_uri, manifest)
    return ids


def _marked(read: RunFolder, upstream: Manifest, marks: Marks) -> Iterator[pa.Table]:
    first = 0
    for entry in upstream.shards:
        for batch in read_batches(read.stage("dedupe").file(entry.file)):
            mask = pa.array(marks[first : first + batch.num_rows])
            first += batch.num_rows
            yield pa.Table.from_batches([batch]).filter(mask)


def _settle(recipe: Recipe, read: RunFolder, backend: MeteredBackend) -> Recipe:
    """The recipe with a tokenizer to try out: one that is yet to be trained is trained on all that was read."""
    section = recipe.tokenizer
    if section.train is None:
        return recipe
    context = StageContext(recipe, read, bucket.STAGE, "plan", backend)
    source, _ = bucket.settle_tokenizer(context)
    return recipe.model_copy(update={"tokenizer": section.model_copy(update={"path": source.uri, "train": None})})


def _findings(looked: RunFolder, sampled: Marks, ids: list[str]) -> tuple[Findings, dict[str, npt.NDArray[np.float32]]]:
    """The tokens and the columns of each sampled document, in the order of the population."""
    corpus = TokenizedCorpus.open(looked)
    places = dict(zip(ids, np.flatnonzero(sampled).tolist(), strict=True))
    tokens, order = np.zeros(len(sampled), np.int64), []
    for number in range(len(corpus.shards)):
        batch = corpus.shard(number).batch
        where = [places[document_id] for document_id in batch["id"].to_pylist()]
        tokens[where] = batch["length"].to_numpy()
        order += where
    columns = {}
    for name in corpus.column_names:
        columns[name] = np.full(len(sampled), np.nan, np.float32)
        columns[name][order] = corpus.column(name)
    return Findings(sampled, tokens), columns
