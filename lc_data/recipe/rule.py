"""What every filter rule has, whatever it judges."""

from __future__ import annotations

from pydantic import Field

from lc_data.recipe.section import Section


class RuleBase(Section):
    """What every rule has."""

    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Its name in the ledger; by default the kind of rule."""
    domains: tuple[str, ...] | None = None
    """Judge only these domains; null: every domain that does not hold dialogues."""
    languages: tuple[str, ...] | None = None
    """Judge only documents whose ``language`` is one of these; a document without a language is then not judged."""
