"""What every process that uses kernels needs before its first one: a second of a core and 105 MB.

Numba reads its libraries in when the first kernel is loaded, and the tables of characters take a quarter of a second.
A process that others are forked from does it once for all of them. Nothing here starts a thread.
"""

from __future__ import annotations

import numpy as np

from lc_data.text.characters import character_classes, lower_case
from lc_data.text.words import count_content_words


def warm_kernels() -> None:
    """Build the tables and load a first kernel."""
    lower_case()
    count_content_words(np.zeros(0, np.uint8), character_classes())
