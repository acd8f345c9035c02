"""Augment: a part of what is drawn is made into rows that teach long dependencies."""

from __future__ import annotations

from lc_data.stages.augment.stage import STAGE

__all__ = ["STAGE"]
