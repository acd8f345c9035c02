"""A forecast for people: what fits a terminal of 100 columns."""

from __future__ import annotations

from lc_data.forecast.result import Cell, Forecast, PurposePlan


def as_text(found: Forecast) -> str:
    """Render a forecast as plain text."""
    lines = [
        f"{found.recipe}: {found.documents:,} documents, {_count(found.tokens)} tokens, from the run's {found.origin}"
    ]
    if found.thinned_by > 1:
        lines.append(f"rows planned over every {found.thinned_by}th document and counted up")
    for purpose in found.purposes:
        lines += ["", *_purpose_lines(purpose)]
    cost = found.cost
    lines += ["", f"disk of the plan: {cost.plan_disk_bytes / 1e6:,.1f} MB"]
    if cost.training_hours is not None and cost.tokens_per_second is not None:
        lines.append(
            f"training: {_count(cost.training_tokens)} tokens at {cost.tokens_per_second:,.0f} a second: "
            f"{cost.training_hours:,.1f} hours"
        )
    else:
        lines.append(f"training: {_count(cost.training_tokens)} tokens (hours: give --tokens-per-second)")
    return "\n".join(lines)


def _purpose_lines(purpose: PurposePlan) -> list[str]:
    lines = [
        f"{purpose.purpose}: {_count(purpose.planned_tokens)} tokens in {purpose.packs:,} rows of {purpose.seq_len:,} "
        f"({purpose.batches:,} whole batches), filled to {purpose.fill:.2%}",
        f"long documents: {purpose.long_share_before:.1%} of the tokens there, {purpose.long_share_after:.1%} planned",
        f"{'domain':<24}{'there':>9}{'planned':>9}{'tokens':>10}{'epochs':>9}",
    ]
    lines += [
        f"{domain.domain[:23]:<24}{domain.natural_share:>9.2%}{domain.planned_share:>9.2%}"
        f"{_count(domain.planned_tokens):>10}{domain.epochs:>9.2f}"
        for domain in purpose.domains
    ]
    repeated = [cell for cell in purpose.cells if cell.epochs > 1.0005]
    if repeated:
        lines.append("seen more than once:")
        lines += [
            f"  {cell.domain} {_lengths(cell)}: {cell.epochs:.2f} times ({_count(cell.available_tokens)} tokens there)"
            for cell in repeated
        ]
    return lines


def _lengths(cell: Cell) -> str:
    if cell.to_tokens is None:
        return f"{cell.from_tokens:,} tokens and more"
    return f"{cell.from_tokens:,} to {cell.to_tokens:,} tokens"


def _count(tokens: int) -> str:
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if tokens >= size:
            return f"{tokens / size:.4g}{unit}"
    return str(tokens)
