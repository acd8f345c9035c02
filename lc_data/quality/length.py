"""Bounds on the size of a document."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.quality.judgement import Bound, Judgement, Measures, check_bounds
from lc_data.recipe.filtering import LengthRule
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import character_classes
from lc_data.text.words import count_spaced_words


@dataclass(frozen=True)
class Length:
    """Judges bytes, characters and words; words are counted only where a bound asks for them."""

    rule: LengthRule

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Drop documents outside the bounds."""
        measures = self._measure(documents.column("text"))
        bounds = [
            Bound(f"{side}_{unit}", unit, **{"low" if side == "min" else "high": limit})
            for unit in measures
            for side in ("min", "max")
            if (limit := getattr(self.rule, f"{side}_{unit}")) is not None
        ]
        return Judgement(check_bounds(measures, bounds), measures)

    def _measure(self, text: pa.Array) -> Measures:
        data, offsets = text_buffers(text)
        measures = {"bytes": np.diff(offsets)}
        if self.rule.min_chars is not None or self.rule.max_chars is not None:
            measures["chars"] = pc.utf8_length(text).to_numpy(zero_copy_only=False).astype(np.int64)
        if self.rule.min_words is not None or self.rule.max_words is not None:
            measures["words"] = np.zeros(len(text), np.int64)
            count_spaced_words(data, offsets, character_classes(), measures["words"])
        return measures
