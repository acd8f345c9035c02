"""Balance: how much of each domain and length bucket is trained on, and which documents never are.

Reads the index alone, writes no document: ``sampling.arrow`` says what each stage of the mixture draws of every
stratum, to the token, and ``held_out.arrow`` names the documents kept from training. 24 million documents take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.ledger import Ledger
from lc_data.corpus.shard import write_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.mixing.continued import Stream, sample_with_kept
from lc_data.mixing.held_out import hold_out
from lc_data.mixing.mixture import plan_stages
from lc_data.mixing.sampling import HELD_OUT_SCHEMA, SAMPLING_SCHEMA, Sample, sample
from lc_data.mixing.strata import Strata, measure_strata
from lc_data.mixing.stream import DocumentStream, Pieces
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.mixture import HeldOut
from lc_data.recipe.recipe import Recipe
from lc_data.stages.anchor import find_anchor
from lc_data.stages.kept import PURPOSE, check_kept, keep_packs, pieces_of
from lc_data.stages.purposes import Purpose, Supply, purposes_of, supply_of
from lc_data.stages.sampling_plan import SamplingPlan, draw_stages

SAMPLING_FILE = "sampling.arrow"
HELD_OUT_FILE = "held_out.arrow"


def balance(context: StageContext) -> Outcome:
    """Plan the sampling of every purpose. Raises RecipeError for a mixture that the corpus cannot give."""
    corpus = TokenizedCorpus.open_bucketed(context.run)  # an older augment may still stand there
    ledger, tables, facts = Ledger(), [], {}
    held = np.zeros(corpus.document_count, bool)
    kept = keep_packs(context.run, context.recipe.pack, find_anchor(context.run, corpus, context.recipe.pack))
    for purpose in purposes_of(context.recipe, corpus):
        supply = supply_of(corpus, purpose.domains, purpose.packing, purpose.mixture)
        mine = _held_out(supply, purpose.mixture.held_out)
        held |= mine
        pieces = pieces_of(kept.blocks(context.run) if kept and purpose.name == PURPOSE else [])
        check_kept(pieces, supply, mine)
        plan = _plan(supply, purpose, mine, pieces, ledger)
        tables.append(plan.to_table())
        facts[purpose.name] = plan.describe(purpose.mixture, purpose.packing)
    folder = context.folder.uri
    sampling = pa.concat_tables([SAMPLING_SCHEMA.empty_table(), *tables])
    numbers = pa.table({"document": np.flatnonzero(held)}, HELD_OUT_SCHEMA)
    held_tokens = int(corpus.length[held].sum(dtype=np.int64))
    extra = [
        write_table(folder, SAMPLING_FILE, sampling),
        write_table(folder, HELD_OUT_FILE, numbers, held_tokens),
    ]
    if kept is None:
        return Outcome(ledger=ledger, extra=extra, facts={"purposes": facts})
    return Outcome(ledger=ledger, extra=extra + kept.files, facts={"purposes": facts, "kept": kept.facts()})


def _config(recipe: Recipe) -> dict[str, Any]:
    # Of the packing: what decides which tokens can be trained on, and how many an optimizer step has.
    anchored = {"mask": "anchor"} if recipe.pack.mask == "anchor" else {}  # it takes a place of every row
    keys = {"seq_len", "overlong", "method", "min_piece_tokens", "global_batch_packs"}
    return {
        "mixture": recipe.mixture.model_dump(mode="json"),
        "sft_mixture": recipe.sft_mixture.model_dump(mode="json"),
        "domains": {purpose: recipe.domains(purpose) for purpose in ("pretrain", "sft")},
        "pack": recipe.pack.model_dump(mode="json", include=None if recipe.pack.keep else keys) | anchored,
    }


def _held_out(supply: Supply, rule: HeldOut) -> np.ndarray:
    """Mark the purpose's held-out documents, bool [n] over the corpus, the same whatever its mixture draws."""
    marks = np.zeros(len(supply.stratum), bool)
    marks[supply.mine] = hold_out(supply.stratum[supply.mine], rule)
    return marks


def _plan(supply: Supply, purpose: Purpose, held: np.ndarray, kept: Pieces, ledger: Ledger) -> SamplingPlan:
    """Plan one purpose, behind the pieces that are kept of an earlier plan, and enter it in the ledger."""
    everything, held_out = _measure(supply, supply.mine), _measure(supply, held)
    rest = supply.mine & ~held & supply.eligible
    available = _measure(supply, rest & (supply.trainable > 0), supply.trainable)
    before = supply.tokens_of(kept)
    try:
        stages = plan_stages(available, supply.domains, purpose.mixture, supply.corpus.edges_tokens, before)
    except ValueError as error:
        raise RecipeError(f"{purpose.recipe_key}: {error}") from error
    streams = supply.streams_behind(held, kept)
    planned = draw_stages(streams, stages, available.tokens.shape)
    total = planned.sum(axis=0).ravel()
    # Whatever the mixture allows now, what was kept is drawn.
    rest[kept.document] = True
    _enter(supply, everything, _samples(supply, held, kept, streams, total), ledger)
    _enter_left_out(supply, "held_out", held_out, ledger)
    _enter_left_out(supply, "not_eligible", _measure(supply, supply.mine & ~held & ~rest), ledger)
    _enter_untrainable(supply, rest, ledger)
    edges = supply.corpus.edges_tokens
    return SamplingPlan(purpose.name, supply.domains, edges, everything, held_out, available, stages, planned, before)


def _samples(
    supply: Supply, held: np.ndarray, kept: Pieces, streams: Mapping[int, Stream], total: np.ndarray
) -> dict[int, Sample]:
    """Return what is drawn of each stratum, kept or anew; ``total`` [n_strata] is what is drawn anew, in tokens."""
    if not len(kept):
        plain = {number: stream for number, stream in streams.items() if isinstance(stream, DocumentStream)}
        return {number: sample(stream, int(total[number])) for number, stream in plain.items()}
    eligible = supply.eligible.copy()
    eligible[kept.document] = True
    samples, stratum = {}, supply.stratum[kept.document]
    for number, stream in replace(supply, eligible=eligible).streams(held).items():
        drawn = streams[number].draw(0, int(total[number]), 0) if number in streams else Pieces.none()
        samples[number] = sample_with_kept(stream, kept.select(stratum == number), drawn)
    return samples


def _measure(supply: Supply, marks: np.ndarray, length: np.ndarray | None = None) -> Strata:
    """Count the marked documents by stratum, with their whole length or another."""
    lengths = supply.corpus.length if length is None else length
    return measure_strata(supply.stratum, lengths, marks, len(supply.domains), supply.n_buckets)


def _enter(supply: Supply, everything: Strata, samples: dict[int, Sample], ledger: Ledger) -> None:
    """Enter what came in and what is drawn, over all stages."""
    for row, domain in enumerate(supply.domains):
        if everything.documents[row].any():
            ledger.come_in(domain, int(everything.documents[row].sum()), 0, int(everything.tokens[row].sum()))
    for number, drawn in samples.items():
        domain, _ = supply.place(number)
        ledger.keep(domain, drawn.documents, 0, drawn.tokens)
        if drawn.repeated_tokens:
            ledger.transform(domain, "repeated", drawn.repeated_documents, 0, drawn.repeated_tokens)
        if drawn.unsampled_tokens:
            ledger.drop(domain, "not_sampled", drawn.unsampled_documents, 0, drawn.unsampled_tokens)


def _enter_left_out(supply: Supply, reason: str, left_out: Strata, ledger: Ledger) -> None:
    for row, domain in enumerate(supply.domains):
        if left_out.documents[row].any():
            ledger.drop(domain, reason, int(left_out.documents[row].sum()), 0, int(left_out.tokens[row].sum()))


def _enter_untrainable(supply: Supply, rest: np.ndarray, ledger: Ledger) -> None:
    """Enter documents without a trainable token, and the tokens that cutting takes off others."""
    lost_tokens = supply.corpus.length - supply.trainable
    for reason, marks, documents in supply.losses(rest):
        lost = _measure(supply, marks, lost_tokens)
        for row, domain in enumerate(supply.domains):
            if lost.documents[row].any():
                count = int(lost.documents[row].sum()) * documents
                ledger.drop(domain, reason, count, 0, int(lost.tokens[row].sum()))


def _check(recipe: Recipe) -> None:
    mixture = recipe.mixture
    if recipe.pack.keep is not None and mixture.budget_tokens is None and not mixture.stages:
        raise RecipeError("pack.keep: say with mixture.budget_tokens how many tokens follow the packs that are kept")


STAGE = Stage("balance", 2, ("bucket",), _config, balance, _check)
