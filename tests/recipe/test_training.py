from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lc_data.recipe.model import ModelSection
from lc_data.recipe.training import EvaluationSection, PretrainSection, ScheduleSection, SftSection

SHAPE: dict[str, Any] = {"hidden_size": 64, "layers": 2, "heads": 4, "intermediate_size": 128}


@pytest.mark.parametrize(
    ("section", "content", "message"),
    [
        (ModelSection, {}, "exactly one of `path`"),
        (ModelSection, {"path": "x", "shape": SHAPE}, "exactly one of `path`"),
        (ModelSection, {"shape": {**SHAPE, "kv_heads": 3}}, "must be a multiple of kv_heads"),
        (ModelSection, {"shape": {**SHAPE, "heads": 3}}, "multiple of twice heads"),
        (ModelSection, {"shape": {**SHAPE, "head_dim": 7}}, "head_dim"),
        (ScheduleSection, {"kind": "wsd", "warmup_share": 0.9}, "must be <= 1"),
        (ScheduleSection, {"warmup_share": 10}, "less than or equal to 1"),
        (SftSection, {"steps": 3, "total_tokens": 9}, "not both"),
        (PretrainSection, {}, "model"),
        (EvaluationSection, {"first_bucket_tokens": 1000}, "power of two"),
    ],
)
def test_a_wrong_section_says_what_to_mend(section: Any, content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section.model_validate(content)


def test_sft_has_its_own_batch_and_rate() -> None:
    assert SftSection().batch_tokens == 1 << 20
    assert SftSection().optimizer.peak_learning_rate == 5e-6
    assert PretrainSection(model=ModelSection(path="x")).batch_tokens == 4 << 20
