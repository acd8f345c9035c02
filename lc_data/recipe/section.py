"""The base of every part of a recipe: strict, frozen, and explicit about units.

A recipe is read by people before it is read by the program, so a key that means nothing is an error rather than a
silent default: a misspelt ``budget_token`` would otherwise train on the wrong amount of data for days.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of a recipe that rejects keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
