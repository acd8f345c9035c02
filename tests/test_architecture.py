"""Who may know whom: the arrows of the design, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lc_data

ROOT = Path(lc_data.__file__).parent

PURE = {"text", "quality", "dedup", "lengths", "mixing", "packing", "augment"}
FOUNDATION = {"recipe", "failure", "progress"}
ALLOWED = {
    "recipe": {"failure"},
    **{room: {*PURE, "recipe", "failure"} for room in PURE},
    "corpus": {"recipe", "failure", "packing", "augment"},
    "engine": {"corpus", *FOUNDATION},
    "stages": {*PURE, "corpus", "engine", *FOUNDATION},
    "forecast": {*PURE, "corpus", "engine", "stages", *FOUNDATION},
    "streaming": {"corpus", "packing", *FOUNDATION},
    "exports": {"streaming", "packing", "corpus", *FOUNDATION},
    "training": {"streaming", "corpus", *FOUNDATION},
    "charts": set(),
    "evaluation": {"charts", "training", "streaming", "corpus", *FOUNDATION},
    "reports": {"charts", "corpus", *FOUNDATION},
    "experiments": {"evaluation", "training", "streaming", "stages", "engine", "reports", "corpus", *FOUNDATION},
    "bench": {*PURE, "corpus", "engine", "stages", "forecast", "exports", "streaming", "training", *FOUNDATION},
}
"""Room -> rooms of lc_data that it may import. The command line and the journey may know everything."""

FORBIDDEN_PACKAGES = {
    "ray": set(ALLOWED) - {"engine", "bench"},
    "torch": set(ALLOWED) - {"streaming", "training", "evaluation", "experiments", "bench"},
    **{
        heavy: {"streaming", "training", "evaluation", "reports"}
        for heavy in ("numba", "polars", "scipy", "datatrove", "typer")
    },
    **dict.fromkeys(("fsspec", "time", "random"), PURE),
}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imports_of(path: Path) -> set[str]:
    """Absolute names that a module imports, wherever in it; those only for type checkers are left out."""
    names = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_arrows_never_run_back_up(path):
    room = path.relative_to(ROOT).parts[0]
    imported = imports_of(path)
    rooms = {name.split(".")[1] for name in imported if name.startswith("lc_data.")} - {room, "__version__"}
    assert rooms <= ALLOWED[room], f"{room} may not know {sorted(rooms - ALLOWED[room])}"
    packages = {name.split(".")[0] for name in imported}
    wrong = {package for package, barred in FORBIDDEN_PACKAGES.items() if package in packages and room in barred}
    assert not wrong, f"{room} may not import {sorted(wrong)}"


def test_every_room_is_named_here():
    rooms = {path.relative_to(ROOT).parts[0] for path in modules()}
    assert rooms == set(ALLOWED)


def test_importing_the_package_and_the_command_line_is_light():
    code = (
        "import sys, lc_data, lc_data.cli; print([m for m in ('torch', 'ray', 'numba', 'polars') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_no_file_of_the_library_is_too_long():
    long = {path.name: count for path in modules() if (count := len(path.read_text().splitlines())) > 400}
    assert not long
