"""What this machine has, and what that rules out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from typing import Any

_PACKAGES = {
    "ray": "the Ray backend; `engine.backend: serial` works without",
    "numba": "fast filters, sketches and planning; nothing before training runs without",
    "gigatoken": "fast tokenising; every tokenizer falls back to `tokenizers`, 5 to 100 times as slow",
    "polars": "querying plans and ledgers",
    "datatrove": "filter rules of the kind `datatrove`",
    "trafilatura": "html and warc sources",
    "fasttext": "language identification with a fastText model",
    "jieba": "scores of Chinese answers",
    "transformers": "comparison with its models; training does not need it",
}


@dataclass(frozen=True)
class Examination:
    """The machine's cores, memory, disk, devices and optional packages, and what is out of reach for it."""

    python: str
    cores: int
    memory_bytes: int
    free_disk_bytes: int
    devices: list[str]
    packages: dict[str, str | None]
    ruled_out: list[str]

    def as_json(self) -> dict[str, Any]:
        """The examination as a JSON object."""
        return asdict(self)

    def as_text(self) -> str:
        """The examination for people."""
        lines = [
            f"Python {self.python}, {self.cores} cores, {self.memory_bytes / 2**30:.1f} GiB of memory, "
            f"{self.free_disk_bytes / 2**30:.1f} GiB of free disk here",
            f"devices: {', '.join(self.devices) or 'none beside the CPU'}",
        ]
        lines += [f"{name} {version or 'is not installed'}" for name, version in self.packages.items()]
        lines += [f"ruled out: {sentence}" for sentence in self.ruled_out] or ["nothing is ruled out"]
        return "\n".join(lines)


def examine() -> Examination:
    """Look at this machine."""
    packages = {name: _version(name) for name in _PACKAGES}
    devices = _devices()
    ruled_out = [f"{use} ({name} is missing)" for name, use in _PACKAGES.items() if packages[name] is None]
    if not devices:
        ruled_out.append("training at 32K tokens in useful time (no GPU): only small models and short rows")
    return Examination(
        python=platform.python_version(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        free_disk_bytes=shutil.disk_usage(".").free,
        devices=devices,
        packages=packages,
        ruled_out=ruled_out,
    )


def _version(module: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    distributions = importlib.metadata.packages_distributions().get(module, [module])
    return importlib.metadata.version(distributions[0])


def _devices() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
