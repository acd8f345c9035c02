"""transformers' Trainer over the stream: ``torchrun transformers_job.py RUN OUT STEPS``, again to go on."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from lc_data import PackedDataset
from lc_data.streaming.varlen import check_boundaries, varlen_batch
from tests.streaming.drop_ins.tiny import tiny_llama, write_down


class PackTrainer(Trainer):
    def get_train_dataloader(self) -> DataLoader:
        # Trainer's own goes through accelerator.prepare, which would share out the rank's packs among ranks once more.
        return DataLoader(
            self.train_dataset, batch_size=self.args.per_device_train_batch_size, collate_fn=self.data_collator
        )


class SaveStream(TrainerCallback):
    def __init__(self, dataset: PackedDataset) -> None:
        self.dataset = dataset

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
            Path(folder, "stream.json").write_text(json.dumps(self.dataset.state_dict()))


def main(run: str, out: str, steps: int) -> None:
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dataset = PackedDataset(run, rank=rank, world_size=world_size, batch_size=2)
    checkpoint = max(Path(out).glob("checkpoint-*"), default=None)
    if checkpoint is not None:
        dataset.load_state_dict(json.loads((checkpoint / "stream.json").read_text()))
    model = tiny_llama()
    check_boundaries(model)
    write_down(model, run, f"{out}/seen-{world_size}-{rank}.jsonl")
    arguments = TrainingArguments(
        out, use_cpu=True, max_steps=steps, save_steps=2, logging_steps=1, report_to="none", disable_tqdm=True,
        per_device_train_batch_size=2, gradient_accumulation_steps=2, remove_unused_columns=False,
        ignore_data_skip=True,  # the dataset goes on by itself: skipping as well would lose rows
    )  # fmt: skip
    trainer = PackTrainer(
        model, arguments, train_dataset=dataset, data_collator=varlen_batch, callbacks=[SaveStream(dataset)]
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if rank == 0:
        Path(out, f"log-{world_size}.json").write_text(json.dumps(trainer.state.log_history))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
