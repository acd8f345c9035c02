"""The base of every part of a report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ReportModel(BaseModel):
    """Strict, so that a page is never drawn from a report of another version."""

    model_config = ConfigDict(extra="forbid", frozen=True)
