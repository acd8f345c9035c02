"""The alarm: a source that loses most of its documents is more likely misjudged than worthless."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_EXAMPLES = 3

Group = tuple[str, str | None]
"""What is watched: a source of a domain, or without one the whole domain."""


@dataclass
class Loss:
    """What one source of one domain lost."""

    documents: int = 0
    removed: int = 0
    examples: list[str] = field(default_factory=list)
    """Removed documents with their keepers, the first few."""

    def remove(self, example: Callable[[], str]) -> None:
        """Count a document that goes; what describes it is asked for while there are few."""
        self.removed += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(example())

    def add(self, other: Loss) -> None:
        """Count what another part of the documents lost, that comes after this one."""
        self.documents += other.documents
        self.removed += other.removed
        self.examples = (self.examples + other.examples)[:_EXAMPLES]


def source_group(domain: str, source: str, names: frozenset[str]) -> tuple[str, str]:
    """What is watched as one within a domain: a source of the recipe, or what its records call their own source.

    Documents that state no source are addressed below the name of the recipe's source. Others are taken to follow
    ``repository@commit:path``, of which the path is left out.
    """
    name = source.partition("/")[0]
    if name in names:
        return domain, name
    repository, at, rest = source.partition("@")
    return domain, f"{repository}@{rest.partition(':')[0]}" if at else source


def overdone(losses: Mapping[Group, Loss], share_of: Mapping[str, float], default: float, least: int) -> list[str]:
    """A line for each group that loses more than its share, with examples; sorted, mostly empty.

    ``share_of`` holds the shares of single domains; groups of fewer than ``least`` documents are not watched.
    """
    found = []
    for (domain, source), loss in losses.items():
        limit = share_of.get(domain, default)
        if loss.documents >= least and loss.removed > limit * loss.documents:
            name = f"domain {domain!r}" + (f", source {source!r}" if source is not None else "")
            lines = "".join(f"\n    {example}" for example in loss.examples)
            found.append(f"{name} loses {loss.removed} of {loss.documents} documents, more than {limit:.0%}:{lines}")
    return sorted(found)
