"""Dedupe: exact copies and near-duplicates out, the longest of each kept.

Five phases, each of pure tasks that exchange files: sketch every shard; find copies by partition of the exact hash;
find candidate pairs by partition of the band keys; verify candidates by the texts themselves; remove, shard by shard.
Between them the driver holds what concerns duplicates only, and 8 bytes for every document.
"""

from lc_data.stages.dedupe.stage import STAGE

__all__ = ["STAGE"]
