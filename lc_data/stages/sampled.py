"""What balance has decided, as the stages behind it read it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.stages.balance import SAMPLING_FILE
from lc_data.stages.purposes import Supply


def mark_documents(uri: str, corpus: TokenizedCorpus) -> np.ndarray:
    """Return which documents a table names, bool [n]."""
    marks = np.zeros(corpus.document_count, bool)
    marks[read_table(uri)["document"].to_numpy()] = True
    return marks


def planned_tokens(run: RunFolder, purpose: str, stages: Sequence[str], supply: Supply) -> np.ndarray:
    """Return the tokens that balance drew in each mixture stage of each stratum, int64 [n_stages, n_strata]."""
    planned = np.zeros((len(stages), supply.n_strata), np.int64)
    for row in read_table(run.stage("balance").file(SAMPLING_FILE)).to_pylist():
        if row["purpose"] == purpose:
            number = supply.domains.index(row["domain"]) * supply.n_buckets + row["bucket"]
            planned[row.get("stage", 0), number] = row["planned_tokens"]
    return planned
