"""What is written down about every step: one JSON object per line, so that any tool can follow a training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lc_data.corpus.storage import write_atomic


class MetricsLog:
    """``metrics.jsonl``: one row per step, and never two rows for one step, however often the training was resumed."""

    def __init__(self, path: Path, first_step: int) -> None:
        """Go on after the rows of the steps before ``first_step``; later rows, of steps that are lost, are removed."""
        rows = [row for row in read_metrics(path) if row["step"] < first_step]
        write_atomic(str(path), "".join(json.dumps(row) + "\n" for row in rows).encode())
        self._file = path.open("a", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        """Append the row of one step; it is on its way to the disk when this returns. What is no number is null."""
        odd = [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        self._file.write(json.dumps(row | dict.fromkeys(odd)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``, without a last line that a killed process left unfinished."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]
