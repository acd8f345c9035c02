"""A forecast for people: what fits a terminal of 100 columns."""

from __future__ import annotations

import textwrap

from lc_data.forecast.result import Cell, Cost, Forecast, PurposePlan

_ORIGINS = {
    "index": "exact, from the run's index",
    "corpus": "exact, from all of a small corpus, run through in a scratch folder",
    "sample": "estimated from a sample of the raw text",
}


def as_text(found: Forecast) -> str:
    """Render a forecast as plain text."""
    lines = [f"{found.recipe}: {found.documents:,} documents, {_total(found)} tokens; {_ORIGINS[found.origin]}"]
    if found.sample is not None:
        sample = found.sample
        lines += _wrap(
            f"read and deduplicated: {_bytes(sample.read_bytes)} of {_bytes(sample.total_bytes)} stored; filtered and "
            f"tokenised: {sample.looked_at_documents:,} documents, {_bytes(sample.looked_at_bytes)} of text; ranges of "
            f"cells hold all at once with {sample.level:.0%}"
        )
    if found.thinned_by > 1:
        lines.append(f"rows planned over every {found.thinned_by}th document and counted up")
    for purpose in found.purposes:
        lines += ["", *_purpose_lines(purpose, found.exact)]
    lines += ["", *_cost_lines(found.cost)]
    for warning in found.warnings:
        lines += _wrap(f"note: {warning}")
    return "\n".join(lines)


def _purpose_lines(purpose: PurposePlan, exact: bool) -> list[str]:
    packs = f"{purpose.packs:,}"
    if purpose.packs_low < purpose.packs_high:
        packs += f" ({purpose.packs_low:,} to {purpose.packs_high:,})"
    lines = [
        f"{purpose.purpose}: {_count(purpose.planned_tokens)} tokens in {packs} rows of {purpose.seq_len:,} "
        f"({purpose.batches:,} whole batches), filled to {purpose.fill:.2%}",
        f"long documents: {purpose.long_share_before:.1%} of the tokens there, {purpose.long_share_after:.1%} planned",
        f"{'domain':<24}{'there':>9}{'planned':>9}{'tokens':>10}{'epochs':>9}",
    ]
    for domain in purpose.domains:
        line = (
            f"{domain.domain[:23]:<24}{domain.natural_share:>9.2%}{domain.planned_share:>9.2%}"
            f"{_count(domain.planned_tokens):>10}{domain.epochs:>9.2f}"
        )
        if domain.epochs_low < domain.epochs_high:
            line += f" ({domain.epochs_low:.2f} to {domain.epochs_high:.2f})"
        lines.append(line)
    if not exact:
        lines.append("tokens there, by domain and length:")
        lines += [f"  {cell.domain[:30]:<30}{_lengths(cell):<30}{_range(cell):>36}" for cell in purpose.cells]
    repeated = [cell for cell in purpose.cells if cell.epochs > 1.0005]
    if repeated:
        lines.append("seen more than once:")
        lines += [
            f"  {cell.domain} {_lengths(cell)}: {cell.epochs:.2f} times ({_count(cell.available_tokens)} tokens there)"
            for cell in repeated
        ]
    return lines


def _cost_lines(cost: Cost) -> list[str]:
    """What is still to be run, stage by stage, and the training."""
    lines = [
        f"to be run, with {cost.workers} workers (estimated): {_duration(cost.hours)}, "
        f"{_bytes(cost.memory_bytes)} of memory, {_bytes(cost.disk_bytes)} of disk",
        f"{'stage':<10}{'time':>12}{'memory':>12}{'disk':>12}{'while it runs':>16}",
    ]
    lines += [
        f"{stage.stage:<10}{_duration(stage.hours):>12}{_bytes(stage.memory_bytes):>12}{_bytes(stage.disk_bytes):>12}"
        f"{_bytes(stage.working_disk_bytes):>16}"
        for stage in cost.stages
    ]
    if cost.training_hours is not None and cost.tokens_per_second is not None:
        lines.append(
            f"training: {_count(cost.training_tokens)} tokens at {cost.tokens_per_second:,.0f} a second: "
            f"{cost.training_hours:,.1f} hours"
        )
    else:
        lines.append(f"training: {_count(cost.training_tokens)} tokens (hours: give --tokens-per-second)")
    return lines


def _total(found: Forecast) -> str:
    if found.exact:
        return _count(found.tokens)
    return f"{_count(found.tokens)} ({_count(found.tokens_low)} to {_count(found.tokens_high)})"


def _range(cell: Cell) -> str:
    return f"{_count(cell.tokens)} ({_count(cell.tokens_low)} to {_count(cell.tokens_high)})"


def _lengths(cell: Cell) -> str:
    if cell.to_tokens is None:
        return f"{cell.from_tokens:,} tokens and more"
    return f"{cell.from_tokens:,} to {cell.to_tokens:,} tokens"


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 98, subsequent_indent="  ")


def _duration(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.1f} min" if hours >= 1 / 60 else f"{hours * 3600:.1f} s"


def _bytes(size: int) -> str:
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size / 1000:.1f} KB"


def _count(tokens: int) -> str:
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if tokens >= size:
            return f"{tokens / size:.4g}{unit}"
    return str(tokens)
