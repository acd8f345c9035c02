"""Supervised fine-tuning on the plan ``sft`` of a run: the loop of pretraining over dialogues.

The stream masks every label outside the answers' spans, so there is nothing to do here but to say where to start.
"""

from __future__ import annotations

from pathlib import Path

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.streaming.dataset import PackedDataset
from lc_data.training.job import TrainingJob, held_out_documents, read_packed_corpus, training_folder
from lc_data.training.load import read_model_config
from lc_data.training.loop import train
from lc_data.training.pretrain import check_vocabulary
from lc_data.training.record import Outcome
from lc_data.training.weights import checkpoint_weights, weights_fingerprint


def sft(run_uri: str, recipe: Recipe) -> Outcome:
    """Train as ``recipe.sft`` says, alone or as one rank under torchrun: :func:`lc_data.training.loop.train`."""
    return train(sft_job(run_uri, recipe))


def sft_job(run_uri: str, recipe: Recipe) -> TrainingJob:
    """The job of ``recipe.sft``; raises :class:`RecipeError` when there is no checkpoint to start from."""
    section = recipe.sft
    if section is None:
        raise RecipeError("the recipe has no section `sft`")
    corpus = read_packed_corpus(run_uri, "sft")
    start = Path(section.init_from) if section.init_from else training_folder(run_uri, "pretrain") / "export"
    if not start.is_dir():
        raise RecipeError(f"sft starts from {start}, which does not exist: pretrain first, or set sft.init_from")
    before = None if recipe.pretrain is None else recipe.pretrain.model.impl
    config = read_model_config(start, section.impl or before or "own")
    check_vocabulary(config, corpus.vocab_size, str(start))
    return TrainingJob(
        kind="sft",
        folder=training_folder(run_uri, "sft"),
        section=section,
        config=config.for_training(None, corpus.seq_len),
        read_weights=checkpoint_weights(start, config),
        open_stream=lambda rank, world_size: PackedDataset(run_uri, rank=rank, world_size=world_size, plan="sft"),
        packs=corpus.packs,
        seq_len=corpus.seq_len,
        positions=corpus.positions,
        origin={"plan": corpus.plan_hash, "weights": weights_fingerprint(start)},
        tokenizer_uri=corpus.tokenizer_uri,
        domains=corpus.domains,
        stages=corpus.stages,
        long_documents=held_out_documents(run_uri),
    )
