"""Accelerate over the stream: ``torchrun accelerate_job.py RUN OUT STEPS``, again for so many steps more."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.streaming.varlen import check_boundaries, varlen_batch
from tests.streaming.drop_ins.tiny import tiny_llama, write_down


def main(run: str, out: str, steps: int) -> None:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    rank, world_size = accelerator.process_index, accelerator.num_processes
    dataset = PackedDataset(run, rank=rank, world_size=world_size, batch_size=2)
    model = tiny_llama()
    check_boundaries(model)
    write_down(model, run, f"{out}/seen-{world_size}-{rank}.jsonl")
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    # The loader is not prepared: that would share out the rank's packs among ranks once more. Saving knows the dataset.
    accelerator.register_for_checkpointing(dataset)
    if Path(out, "saved").exists():
        accelerator.load_state(f"{out}/saved")
    taken = count(1)
    for batch in DataLoader(dataset, batch_size=2, collate_fn=varlen_batch):
        with accelerator.accumulate(model):
            output = model(**send_to_device(batch, accelerator.device))
            accelerator.backward(output.loss)
            optimizer.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients and next(taken) == steps:
            break
    accelerator.save_state(f"{out}/saved")
    accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
