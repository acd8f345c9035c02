"""Which documents may be drawn at all, and which come first: by the measures that the corpus keeps beside its index.

Both act before the mixture: it plans with what is eligible, and a preference only orders each stratum's stream, so
shares of domains and lengths stay what was asked for, whatever is preferred.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lc_data.recipe.mixture import Preference, Range

Columns = Mapping[str, npt.NDArray[np.float32]]


def mark_eligible(columns: Columns, where: Mapping[str, Range], documents: int) -> npt.NDArray[np.bool_]:
    """Mark the documents whose columns all lie in their ranges, bool [documents]; a missing value (NaN) does not.

    Bounds are compared as float32, like the columns: a document whose value was written as 0.3 meets ``min: 0.3``.
    """
    marks = np.ones(documents, np.bool_)
    for name, allowed in where.items():
        values = columns[name]
        if allowed.min is not None:
            marks &= values >= np.float32(allowed.min)
        if allowed.max is not None:
            marks &= values <= np.float32(allowed.max)
    return marks


def rank_by(columns: Columns, preference: Preference | None) -> npt.NDArray[np.float32] | None:
    """Return what to order each stratum by, lowest first, float32 [documents]; NaN, which sorts last, where missing.

    None where nothing is preferred.
    """
    if preference is None:
        return None
    values = columns[preference.column]
    return -values if preference.order == "high" else values
