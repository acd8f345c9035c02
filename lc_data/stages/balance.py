"""Balance: how much of each domain and length bucket is trained on, and which documents never are.

Reads the index alone, writes no document: ``sampling.arrow`` says what is drawn of every stratum, to the token, and
``held_out.arrow`` names the documents kept from training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.ledger import Ledger
from lc_data.corpus.shard import write_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.mixing.held_out import hold_out
from lc_data.mixing.mixture import plan_mixture
from lc_data.mixing.sampling import HELD_OUT_SCHEMA, SAMPLING_SCHEMA, Sample, sample, tokens_by_repeat
from lc_data.mixing.strata import Strata, measure_strata
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.mixture import HeldOut
from lc_data.recipe.recipe import Recipe
from lc_data.stages.purposes import Purpose, Supply, purposes_of, supply_of

SAMPLING_FILE = "sampling.arrow"
HELD_OUT_FILE = "held_out.arrow"


def balance(context: StageContext) -> Outcome:
    """Plan the sampling of every purpose. Raises RecipeError for a mixture that the corpus cannot give."""
    corpus = TokenizedCorpus.open(context.run)
    ledger, tables, facts = Ledger(), [], {}
    held = np.zeros(corpus.document_count, bool)
    for purpose in purposes_of(context.recipe, corpus):
        supply = supply_of(corpus, purpose.domains, purpose.packing)
        mine = _held_out(supply, purpose.mixture.held_out)
        held |= mine
        table = _sampling(supply, purpose, mine, ledger)
        tables.append(table)
        facts[purpose.name] = _facts(table)
    folder = context.folder.uri
    sampling = pa.concat_tables([SAMPLING_SCHEMA.empty_table(), *tables])
    numbers = pa.table({"document": np.flatnonzero(held)}, HELD_OUT_SCHEMA)
    held_tokens = int(corpus.length[held].sum(dtype=np.int64))
    extra = [
        write_table(folder, SAMPLING_FILE, sampling),
        write_table(folder, HELD_OUT_FILE, numbers, held_tokens),
    ]
    return Outcome(ledger=ledger, extra=extra, facts={"purposes": facts})


def _config(recipe: Recipe) -> dict[str, Any]:
    return {
        "mixture": recipe.mixture.model_dump(mode="json"),
        "sft_mixture": recipe.sft_mixture.model_dump(mode="json"),
        "domains": {purpose: recipe.domains(purpose) for purpose in ("pretrain", "sft")},
        "pack": {"seq_len": recipe.pack.seq_len, "overlong": recipe.pack.overlong},
    }


def _held_out(supply: Supply, rule: HeldOut) -> np.ndarray:
    """Mark the purpose's held-out documents, bool [n] over the corpus."""
    marks = np.zeros(len(supply.stratum), bool)
    marks[supply.mine] = hold_out(supply.stratum[supply.mine], rule)
    return marks


def _sampling(supply: Supply, purpose: Purpose, held: np.ndarray, ledger: Ledger) -> pa.Table:
    """Plan one purpose, enter it in the ledger, and return its rows of the sampling plan."""
    everything, held_out = _measure(supply, supply.mine), _measure(supply, held)
    rest = supply.mine & ~held
    usable = rest & (supply.trainable > 0)
    available = _measure(supply, usable, supply.trainable)
    try:
        plan = plan_mixture(available, supply.domains, purpose.mixture, supply.corpus.edges_tokens)
    except ValueError as error:
        raise RecipeError(f"{purpose.recipe_key}: {error}") from error
    wanted = plan.wanted_tokens.ravel()
    samples = {number: sample(stream, int(wanted[number])) for number, stream in supply.streams(held).items()}
    _enter(supply, everything, held_out, samples, ledger)
    _enter_untrainable(supply, rest, ledger)
    places = np.flatnonzero(everything.documents.ravel())
    planned = np.array([samples[number].tokens if number in samples else 0 for number in places.tolist()], np.int64)
    there = available.tokens.ravel()[places]
    domain, bucket = np.divmod(places, supply.n_buckets)
    columns = {
        "purpose": [purpose.name] * len(places),
        "domain": [supply.domains[row] for row in domain],
        "bucket": bucket.astype(np.uint8),
        "documents": everything.documents.ravel()[places],
        "tokens": everything.tokens.ravel()[places],
        "held_out_documents": held_out.documents.ravel()[places],
        "held_out_tokens": held_out.tokens.ravel()[places],
        "available_tokens": there,
        "wanted_share": plan.wanted_share.ravel()[places],
        "wanted_tokens": wanted[places],
        "planned_tokens": planned,
        "rate": planned / np.maximum(there, 1),
    }
    return pa.table(columns, SAMPLING_SCHEMA)


def _measure(supply: Supply, marks: np.ndarray, length: np.ndarray | None = None) -> Strata:
    """Count the marked documents by stratum, with their whole length or another."""
    lengths = supply.corpus.length if length is None else length
    return measure_strata(supply.stratum[marks], lengths[marks], len(supply.domains), supply.n_buckets)


def _enter(supply: Supply, everything: Strata, held_out: Strata, samples: dict[int, Sample], ledger: Ledger) -> None:
    for row, domain in enumerate(supply.domains):
        if not everything.documents[row].any():
            continue
        ledger.come_in(domain, int(everything.documents[row].sum()), 0, int(everything.tokens[row].sum()))
        if held_out.documents[row].any():
            ledger.drop(domain, "held_out", int(held_out.documents[row].sum()), 0, int(held_out.tokens[row].sum()))
    for number, drawn in samples.items():
        domain, _ = supply.place(number)
        ledger.keep(domain, drawn.documents, 0, drawn.tokens)
        if drawn.repeated_tokens:
            ledger.transform(domain, "repeated", drawn.repeated_documents, 0, drawn.repeated_tokens)
        if drawn.unsampled_tokens:
            ledger.drop(domain, "not_sampled", drawn.unsampled_documents, 0, drawn.unsampled_tokens)


def _enter_untrainable(supply: Supply, rest: np.ndarray, ledger: Ledger) -> None:
    """Enter documents without a trainable token, and the tokens that truncating takes off others."""
    length, trainable = supply.corpus.length, supply.trainable
    for reason, marks, documents in (
        ("empty", rest & (length == 0), 1),
        ("overlong", rest & (length > 0) & (trainable == 0), 1),
        ("truncated", rest & (trainable > 0) & (trainable < length), 0),
    ):
        lost = _measure(supply, marks, length - trainable)
        for row, domain in enumerate(supply.domains):
            if lost.documents[row].any():
                count = int(lost.documents[row].sum()) * documents
                ledger.drop(domain, reason, count, 0, int(lost.tokens[row].sum()))


def _facts(table: pa.Table) -> dict[str, Any]:
    """Sum up a purpose for reports: tokens wanted, planned and held out by domain, and how often they are seen."""
    rows = table.to_pylist()
    planned = sum(row["planned_tokens"] for row in rows)
    domains: dict[str, dict[str, Any]] = {}
    for row in rows:
        entry = domains.setdefault(
            row["domain"], {"wanted_share": 0.0, "planned_tokens": 0, "planned_share": 0.0, "held_out_tokens": 0,
                            "available_tokens": 0, "tokens_by_repeat": []},
        )  # fmt: skip
        for key in ("wanted_share", "planned_tokens", "held_out_tokens", "available_tokens"):
            entry[key] += row[key]
        repeats = tokens_by_repeat(row["available_tokens"], row["planned_tokens"])
        seen = entry["tokens_by_repeat"]
        seen += [0] * (len(repeats) - len(seen))
        for repeat, tokens in enumerate(repeats):
            seen[repeat] += tokens
    for entry in domains.values():
        entry["planned_share"] = entry["planned_tokens"] / max(planned, 1)
    return {"planned_tokens": planned, "domains": domains}


STAGE = Stage("balance", 1, ("bucket",), _config, balance)
