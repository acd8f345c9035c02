"""Dedupe: copies, near-duplicates, excerpts and editions out, the longest of each kept.

Phases of pure tasks that exchange files: sketch every shard; find copies by partition of the exact hash; find pairs by
partition of the band keys, and verify them by the texts; among what is left, find overlaps by partition of the sampled
n-grams, add them up, and verify again; decide who goes, range by range of the documents; remove, shard by shard.
Between them the driver reads no row of any file: it is told how many pairs, runs and open decisions there are.
"""

from lc_data.stages.dedupe.stage import STAGE

__all__ = ["STAGE"]
