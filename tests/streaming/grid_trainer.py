"""A trainer in miniature, to be killed: it takes rows through real loaders, writes ledgers, and saves its state.

``python -m tests.streaming.grid_trainer RUN FOLDER WORLD WORKERS BATCH``: all ranks live in this one process, each with
a DataLoader of its own; after every step the state is replaced, as a checkpoint would be.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.streaming.ledger import PackLedger


def train(run: str, folder: Path, world_size: int, workers: int, batch_size: int) -> None:
    state = folder / "state.json"
    ranks = [PackedDataset(run, rank, world_size, batch_size=batch_size) for rank in range(world_size)]
    saved = json.loads(state.read_text()) if state.exists() else ranks[0].state_at(0)
    for dataset in ranks:
        dataset.load_state_dict(saved)
    consumed = saved["consumed"]
    with ExitStack() as stack:
        ledgers = [stack.enter_context(PackLedger(folder / f"rank-{rank}.jsonl")) for rank in range(world_size)]
        loaders = [
            iter(DataLoader(dataset, batch_size=batch_size, num_workers=workers, collate_fn=list)) for dataset in ranks
        ]
        for batches in zip(*loaders, strict=True):
            for ledger, batch in zip(ledgers, batches, strict=True):
                for pack in batch:
                    ledger.record(pack)
            consumed += sum(map(len, batches))
            temporary = state.with_suffix(".tmp")
            temporary.write_text(json.dumps(ranks[0].state_at(consumed)))
            os.replace(temporary, state)


if __name__ == "__main__":
    run, folder, *numbers = sys.argv[1:]
    train(run, Path(folder), *map(int, numbers))
