"""Lightning over the stream: ``torchrun lightning_job.py RUN OUT STEPS``, again to go on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.streaming.varlen import check_boundaries, varlen_batch
from tests.streaming.drop_ins.tiny import tiny_llama, write_down


class Packs(lightning.LightningDataModule):
    """The stream, with its position saved in Lightning's checkpoints.

    Lightning fetches one batch more than it trains on, so neither the dataset nor a StatefulDataLoader knows what was
    trained on; the number of optimizer steps does.
    """

    def __init__(self, run: str, batch_size: int) -> None:
        super().__init__()
        self.run, self.batch_size = run, batch_size
        self.begin_step, self.begin_packs = 0, 0

    def setup(self, stage: str) -> None:
        self.dataset = PackedDataset(
            self.run, self.trainer.global_rank, self.trainer.world_size, batch_size=self.batch_size
        )

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset, batch_size=self.batch_size, collate_fn=varlen_batch)

    def state_dict(self) -> dict[str, Any]:
        step = self.trainer.global_step
        packs_per_step = self.batch_size * self.trainer.accumulate_grad_batches * self.trainer.world_size
        consumed = self.begin_packs + (step - self.begin_step) * packs_per_step
        return {"step": step, "stream": self.dataset.state_at(consumed)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.dataset.load_state_dict(state["stream"])
        self.begin_step, self.begin_packs = state["step"], state["stream"]["consumed"]


class Model(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = tiny_llama()
        check_boundaries(self.model)

    def training_step(self, batch: dict[str, Any]) -> torch.Tensor:
        return self.model(**batch).loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def main(run: str, out: str, steps: int) -> None:
    model = Model()
    trainer = lightning.Trainer(
        accelerator="cpu", strategy="ddp", devices=int(os.environ["LOCAL_WORLD_SIZE"]), max_steps=steps,
        accumulate_grad_batches=2, logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[ModelCheckpoint(out, filename="saved", every_n_train_steps=2, enable_version_counter=False)],
    )  # fmt: skip
    write_down(model.model, run, f"{out}/seen-{trainer.world_size}-{trainer.global_rank}.jsonl")
    saved = Path(out, "saved.ckpt")
    trainer.fit(model, datamodule=Packs(run, batch_size=2), ckpt_path=str(saved) if saved.exists() else None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
