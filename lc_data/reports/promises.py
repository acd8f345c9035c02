"""What balance and pack say about a plan: what each stage was asked for, and how well the rows keep to it.

Counting pieces shows what a plan holds; only the stages that made it know what bound the mixture, what the policy cost
and which window of it is the worst. Their facts stand in the report under the same names.
"""

from __future__ import annotations

from lc_data.reports.model import ReportModel


class DomainDraw(ReportModel):
    """One domain in one stage of the mixture. Shares are of the stage's tokens."""

    domain: str
    asked_share: float
    """What the recipe asks for."""
    settled_share: float
    """What balance settled on: the same unless what was asked for cannot be had."""
    tokens: int
    """What the rows hold."""
    epochs: float
    """Tokens drawn by tokens available."""
    most_epochs: float
    """The same, of the length bucket that is repeated most."""
    bound: list[str]
    """What kept the mixture from giving more or less of it; empty where nothing did."""
    tokens_by_bucket: list[int]
    """In the rows, by the length of the document, per bucket of ``PlanPromises.edges_tokens``."""


class LongShare(ReportModel):
    """The share of tokens in documents of at least ``threshold_tokens``."""

    threshold_tokens: int
    before: float
    """Of what can be drawn."""
    after: float
    """Of what is drawn."""


class MixtureStage(ReportModel):
    """One stage of the mixture."""

    name: str
    from_token: int
    from_step: int
    first_pack: int
    packs: int
    tokens: int
    """What its rows hold."""
    budget_tokens: int
    share_off: float
    """How far the domain that is farthest off is from what was planned, as a share of the stage."""
    domains: list[DomainDraw]
    long: LongShare | None
    """None where the recipe's threshold is no edge of a length bucket."""


class Window(ReportModel):
    """The stretch of 10M tokens whose domain shares stray farthest from the plan's."""

    share_off: float
    domain: str
    first_pack: int
    packs: int


class Stretch(ReportModel):
    """Rows of a plan one after the other, and whose tokens they hold."""

    stage: int
    first_pack: int
    packs: int
    tokens_by_domain: dict[str, int]


class Loss(ReportModel):
    """What the packing policy leaves out for one reason."""

    documents: int
    tokens: int


class TakeDown(ReportModel):
    """What taking documents out changed in a plan."""

    packs_changed: int
    packs_emptied: int
    removed_pieces: int
    removed_tokens: int
    replaced_tokens: int
    repeated_tokens: int


class PlanPromises(ReportModel):
    """What is known of a plan beside its pieces."""

    method: str
    order: str
    documents_cut: int
    """Documents that would fit one row and lie in several."""
    edges_tokens: list[int]
    """Lower ends of the length buckets, the first of which begins at 0."""
    stages: list[MixtureStage]
    """Empty for held-out documents, which nobody weighs."""
    window: Window | None
    """The worst of all windows of 10M tokens; None for a plan shorter than one."""
    batch_window: Window | None
    """The worst of those that begin and end with an optimizer step."""
    stretches: list[Stretch]
    """The whole plan in at most ``collect.promises.STRETCHES`` parts of each stage."""
    tokens_by_piece_length: dict[int, dict[str, int]]
    """By piece length and domain; empty but for the method pow2, which knows few lengths."""
    attention_ranks: int
    attention_max_over_mean: float
    """Attention work of the slowest of so many rows side by side, by their mean, summed over the plan."""
    losses: dict[str, Loss]
    """By reason."""
    take_down: TakeDown
