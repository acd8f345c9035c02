"""Bucket: documents to tokens, in length-bucketed shards in which every stratum is shuffled.

Phases: settle the tokenizer (copy it, or sample the corpus and train it); tokenize ranges of document shards into
partial results sorted by stratum and order key; group those into one shard after another. Between them the driver holds
12 bytes for each document of one stratum, and at the end 7 for every document: the index.
"""

from lc_data.stages.bucket.stage import STAGE
from lc_data.stages.bucket.tokenizer import check_tokenizer, settle_tokenizer

__all__ = ["STAGE", "check_tokenizer", "settle_tokenizer"]
