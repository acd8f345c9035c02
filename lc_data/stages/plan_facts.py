"""What a plan's manifest says about it: for its readers, for reports, and to be judged by.

Beside totals there are the promises: how far domain shares stray in the worst window, how evenly attention work falls
on ranks, what cutting, padding and over-long documents cost in tokens, and how the shares run along the plan.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lc_data.corpus.manifest import FileEntry
from lc_data.packing.audit import CycleCount, PlanAudit
from lc_data.packing.windows import WindowWatch
from lc_data.stages.purposes import Supply


def describe(supply: Supply, audit: PlanAudit, stages: tuple[str, ...], entries: list[FileEntry]) -> dict[str, Any]:
    """Describe a plan whose blocks have all been counted and written; only its hash is left to be added."""
    packing = supply.packing
    tokens = audit.tokens_by_stratum.reshape(len(supply.domains), supply.n_buckets)
    facts: dict[str, Any] = {
        "seq_len": packing.seq_len,
        "packs": audit.packs,
        "global_batch_packs": packing.global_batch_packs,
        "method": packing.method,
        "order": packing.order,
        "curriculum": packing.curriculum,
        "overlong": packing.overlong,
        "mask": packing.mask,
        "positions": packing.positions,
        "blocks": [
            {key: entry.facts[key] for key in ("first_pack", "packs", "pieces")}
            | {"file": entry.file, "checksum": entry.checksum}
            for entry in entries
        ],
        "pieces": audit.pieces,
        "tokens": audit.tokens,
        "padding_tokens": audit.padding_tokens,
        "fill": audit.fill,
        "documents_split": audit.documents_split,
        "documents_cut": audit.documents_cut,
        "losses": _losses(supply),
        "attention": {"ranks": audit.ranks, "max_over_mean": audit.attention_max_over_mean},
        "tokens_by_domain": _by_domain(supply, tokens.sum(axis=1)),
        "tokens_by_bucket": tokens.sum(axis=0).tolist(),
        "stages": [_stage(supply, audit, number, name) for number, name in enumerate(stages)],
        "stretches": [_stretch(supply, cycle) for cycle in audit.cycles],
        "windows": {"any": _worst(supply, audit.windows), "whole_batches": _worst(supply, audit.batch_windows)},
    }
    if packing.mask == "anchor":
        facts["anchor_tokens"] = audit.packs
    if packing.method == "pow2":
        facts["tokens_by_piece_length"] = _by_piece_length(supply, audit.cycles)
    return facts


def _stage(supply: Supply, audit: PlanAudit, number: int, name: str) -> dict[str, Any]:
    """Describe what the packs of one mixture stage hold."""
    count = audit.stages[number]
    tokens = count.tokens.reshape(len(supply.domains), supply.n_buckets)
    return {
        "name": name,
        "first_pack": count.first_pack,
        "packs": count.packs,
        "tokens": int(tokens.sum()),
        "tokens_by_domain": _by_domain(supply, tokens.sum(axis=1)),
        "tokens_by_domain_bucket": dict(zip(supply.domains, tokens.tolist(), strict=True)),
        "share_off": audit.share_off(number),
    }


def _stretch(supply: Supply, cycle: CycleCount) -> dict[str, Any]:
    """Describe one block of the plan, or one cycle of a curriculum: the domains along the way."""
    facts: dict[str, Any] = {"stage": cycle.stage, "first_pack": cycle.first_pack, "packs": cycle.packs}
    facts["tokens_by_domain"] = _by_domain(supply, cycle.tokens)
    if cycle.by_size:
        facts["tokens_by_piece_length"] = _by_piece_length(supply, [cycle])
    return facts


def _by_piece_length(supply: Supply, cycles: list[CycleCount]) -> dict[str, dict[str, int]]:
    """Return tokens by piece length and domain."""
    sizes = sorted({size for cycle in cycles for size in cycle.by_size})
    none = np.zeros(len(supply.domains), np.int64)
    return {
        str(size): _by_domain(supply, sum((cycle.by_size.get(size, none) for cycle in cycles), none)) for size in sizes
    }


def _by_domain(supply: Supply, tokens: np.ndarray) -> dict[str, int]:
    return dict(zip(supply.domains, tokens.tolist(), strict=True))


def _losses(supply: Supply) -> dict[str, dict[str, int]]:
    """Return what the packing policy costs the purpose's documents, drawn or not, by reason."""
    lost = supply.corpus.length - supply.trainable
    found: dict[str, dict[str, int]] = {}
    for reason, marks, _ in supply.losses(supply.mine):
        if reason != "empty" and marks.any():
            entry = found.setdefault(reason, {"documents": 0, "tokens": 0})
            entry["documents"] += int(marks.sum())
            entry["tokens"] += int(lost[marks].sum(dtype=np.int64))
    return found


def _worst(supply: Supply, watch: WindowWatch) -> dict[str, Any] | None:
    """Describe the worst window of 10M tokens; None for a plan that is shorter than one."""
    worst = watch.worst
    if worst is None:
        return None
    return {
        "share_off": worst.share_off,
        "domain": supply.domains[worst.kind],
        "first_pack": worst.first_pack,
        "packs": worst.packs,
    }
