"""What the dedupe section refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lc_data.recipe.dedupe import DedupeSection


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keep": [{"by": "license"}]}, "license needs order"),
        ({"keep": [{"by": "date", "order": ["2020"]}]}, "takes field and first, and no order"),
        ({"keep": [{"by": "date"}, {"by": "date", "first": "oldest"}]}, "keep names 'date' twice"),
        ({"keep": [{"by": "length"}]}, "Input should be 'domain', 'source', 'license' or 'date'"),
        ({"containment": {"one_in": 1}}, "greater than or equal to 2"),
        ({"max_loss_by_domain": {"web": 2}}, "max_loss_by_domain.web is 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        DedupeSection.model_validate(values)
