"""Dedupe: copies, near-duplicates, excerpts and editions out, the longest of each kept.

Phases of pure tasks that exchange files: sketch every shard; find copies by partition of the exact hash; find pairs by
partition of the band keys, and verify them by the texts; among what is left, find overlaps by partition of the sampled
n-grams, add them up, and verify again; remove, shard by shard.
Between them the driver holds what concerns duplicates only, and one bit for every document.
"""

from lc_data.stages.dedupe.stage import STAGE

__all__ = ["STAGE"]
