"""How the kernels are compiled: numba, without the GIL, cached on disk where that is possible.

Compiling takes seconds in each process; the cache makes it milliseconds. Numba refuses to compile at all when neither
the source folder nor the user's cache folder can be written, as on a read-only cluster image, so there it is left out.
The cache looks at the modification time of a kernel's own file only: after changing a kernel that others call, remove
the ``*.nbi`` files beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])

Bytes = npt.NDArray[np.uint8]
"""UTF-8 text, or a table of character classes."""
Numbers = npt.NDArray[np.uint32]
"""Numbers of words or n-grams, code points, signature values."""
Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
"""Offsets, lengths and counts."""
Flags = npt.NDArray[np.bool_]


def kernel(function: F) -> F:
    """Compile a function when it is first called."""
    try:
        return cast("F", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        return cast("F", numba.njit(nogil=True)(function))
