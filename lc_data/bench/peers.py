"""Other people's packages that only benches need: an extra of their own, never in the default install."""

from __future__ import annotations

import importlib.util

from lc_data.recipe.errors import RecipeError


def require_peers(bench: str, *packages: str) -> None:
    """Raise :class:`RecipeError`, naming the extra, when a peer of a bench is not installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise RecipeError(
            f"bench {bench!r} compares with {' and '.join(missing)}, not installed here; "
            "run `pip install 'lc_data[bench]'` (with a checkout: `pip install -c constraints.txt -e '.[bench]'`)"
        )
