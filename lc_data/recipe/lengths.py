"""How much of what is drawn comes from long documents, and how that share is reached.

Lengths and domains are asked for apart because they pull at each other: upsampling long documents over the whole corpus
turns web text into books unnoticed (Fu et al., arXiv:2402.10171, lost 0.029 nats on code that way), while upsampling
inside each domain leaves its share alone. So the mode says which of the two may move.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section

Share = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Begin = Annotated[int, Field(ge=0)]

KEY_OF_MODE = {"global": "long_share", "per_source": "long_share", "upsample_domains": "upsample", "buckets": "buckets"}
"""The key that a mode needs; the others have no effect with it and are refused."""

EXAMPLES = {
    "long_share": "0.7, or with per_source a table of domain: share",
    "upsample": "{books: 2}",
    "buckets": "{web: 60, books: {8192: 10, 32768: 30}}",
}


class LengthMix(Section):
    """Which lengths the tokens come from. Inside a domain and a length group all documents are drawn at one rate."""

    mode: Literal["none", "global", "per_source", "upsample_domains", "buckets"] = "none"
    """none: lengths as they are. global: the long share of the whole mixture becomes ``long_share``, all long documents
    being drawn at one rate; domains shift. per_source: in every domain by itself the long share becomes
    ``long_share``; domains keep their shares. upsample_domains: some domains are drawn ``upsample`` times as much.
    buckets: every domain x length range has a weight of its own."""
    threshold_tokens: int = Field(default=4096, gt=0)
    """A document of at least so many tokens is long. Must be one of the bucket edges."""
    long_share: Share | dict[str, Share] | None = None
    """The wanted share of tokens in long documents: one number, or for per_source a table of domain: share, where a
    domain that is not named stays as it is."""
    upsample: dict[str, Factor] | None = None
    """For upsample_domains, domain: factor on its share; then all shares are scaled to sum to 1. 1 where not named."""
    buckets: dict[str, Weight | dict[Begin, Weight]] | None = None
    """For buckets, domain: weight, or domain: {first length: weight}, in any unit over the whole table. A range goes
    from its first length (0 or a bucket edge) to the next one that is named; below the first nothing is drawn. Every
    domain that has documents is named; 0 leaves one out."""
    min_long_share: Share | None = None
    """At least this share of all tokens is to come from long documents, whatever the mode. A mixture that has less is
    refused; with ``infeasible: closest`` its lengths move until it has as much."""
    max_long_share: Share | None = None
    """At most this share, likewise."""

    @model_validator(mode="after")
    def _keys_and_mode_agree(self) -> LengthMix:
        needed = KEY_OF_MODE.get(self.mode)
        if needed and not getattr(self, needed):
            raise ValueError(f"mode {self.mode} needs {needed}: for example {EXAMPLES[needed]}")
        for key in ("long_share", "upsample", "buckets"):
            if key != needed and getattr(self, key) is not None:
                modes = " or ".join(mode for mode, its in KEY_OF_MODE.items() if its == key)
                raise ValueError(f"{key} has no effect with mode {self.mode}: write mode: {modes}, or leave {key} out")
        if self.mode == "global" and isinstance(self.long_share, dict):
            raise ValueError("mode global takes one long_share for all domains; a table is for mode per_source")
        return self

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> LengthMix:
        low, high = self.min_long_share, self.max_long_share
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_long_share is {low}, above max_long_share {high}: swap them, or leave one out")
        return self

    @model_validator(mode="after")
    def _some_bucket_weighs(self) -> LengthMix:
        weights = [weight for table in self.ranges().values() for weight in table.values()]
        if self.buckets is not None and not any(weights):
            raise ValueError("buckets: all weights are 0: give at least one range a positive weight")
        return self

    @property
    def splits_at_threshold(self) -> bool:
        """Whether ``threshold_tokens`` decides anything: then it must be a bucket edge."""
        return self.mode in ("global", "per_source") or self.bounded

    @property
    def bounded(self) -> bool:
        """Whether the long share of the whole mixture has a lower or an upper bound."""
        return self.min_long_share is not None or self.max_long_share is not None

    def long_share_of(self, domain: str) -> float | None:
        """Return the wanted long share of one domain; None leaves its lengths as they are."""
        if isinstance(self.long_share, dict):
            return self.long_share.get(domain)
        return self.long_share

    def ranges(self) -> dict[str, dict[int, float]]:
        """Return ``buckets`` as domain: {first length: weight}, ascending; a single weight stands for all lengths."""
        tables = {}
        for domain, table in (self.buckets or {}).items():
            tables[domain] = dict(sorted(table.items())) if isinstance(table, dict) else {0: table}
        return tables
