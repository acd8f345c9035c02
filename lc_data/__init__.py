"""Long-context training data, from raw documents to trained steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lc_data.streaming.dataset import PackedDataset

__all__ = ["PackedDataset", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; planning, filtering and the command line never need it.
    if name == "PackedDataset":
        from lc_data.streaming.dataset import PackedDataset

        return PackedDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
