"""Where and how wide the work runs. Nothing here changes a byte of the output, so no fingerprint includes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lc_data.recipe.section import Section


class EngineSection(Section):
    """Serial in this process; worker processes of this machine; or Ray, started here or joined at an address."""

    backend: Literal["serial", "processes", "ray"] = "ray"
    """On one machine ``processes`` starts in a second where Ray takes four; more machines need Ray."""
    address: str | None = None
    """A running Ray cluster to join; null starts one on this machine and stops it afterwards."""
    workers: int | None = Field(default=None, ge=1)
    """Tasks at once; null means the cores that Ray sees, or that this process may use."""
    object_store_bytes: int = Field(default=128 << 20, ge=80 << 20)
    """Ray's shared memory: small, because tasks exchange files, not objects."""
    max_retries: int = Field(default=3, ge=0)
    """How often a task is started again when its worker dies. A task that raises is never retried."""
