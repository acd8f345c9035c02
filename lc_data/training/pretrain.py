"""Pretraining on the plan ``pretrain`` of a run."""

from __future__ import annotations

from pathlib import Path

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.streaming.dataset import PackedDataset
from lc_data.training.config import ModelConfig
from lc_data.training.job import TrainingJob, held_out_documents, read_packed_corpus, training_folder
from lc_data.training.load import read_model_config
from lc_data.training.loop import train
from lc_data.training.record import Outcome
from lc_data.training.weights import checkpoint_weights, random_weights, weights_fingerprint


def pretrain(run_uri: str, recipe: Recipe) -> Outcome:
    """Train as ``recipe.pretrain`` says, alone or as one rank under torchrun: :func:`lc_data.training.loop.train`."""
    return train(pretrain_job(run_uri, recipe))


def pretrain_job(run_uri: str, recipe: Recipe) -> TrainingJob:
    """The job of ``recipe.pretrain``; raises :class:`RecipeError` when model and corpus do not fit."""
    section = recipe.pretrain
    if section is None:
        raise RecipeError("the recipe has no section `pretrain`")
    corpus = read_packed_corpus(run_uri, "pretrain")
    if section.model.path is not None:
        folder = Path(section.model.path)
        config = read_model_config(folder, section.model.impl)
        read_weights, weights = checkpoint_weights(folder, config), weights_fingerprint(folder)
        check_vocabulary(config, corpus.vocab_size, str(folder))
    else:
        shape = section.model.shape
        assert shape is not None  # the section holds a path or a shape
        config = ModelConfig.from_shape(shape, corpus.vocab_size)
        read_weights, weights = random_weights(shape.init_std, recipe.seed), f"random {recipe.seed}"
    return TrainingJob(
        kind="pretrain",
        folder=training_folder(run_uri, "pretrain"),
        section=section,
        config=config.for_training(section.model, corpus.seq_len),
        read_weights=read_weights,
        open_stream=lambda rank, world_size: PackedDataset(run_uri, rank=rank, world_size=world_size, plan="pretrain"),
        packs=corpus.packs,
        seq_len=corpus.seq_len,
        positions=corpus.positions,
        origin={"plan": corpus.plan_hash, "weights": weights},
        tokenizer_uri=corpus.tokenizer_uri,
        domains=corpus.domains,
        stages=corpus.stages,
        long_documents=held_out_documents(run_uri),
    )


def check_vocabulary(config: ModelConfig, vocab_size: int, where: str) -> None:
    """Raise :class:`RecipeError` when the corpus has tokens that the model has not."""
    if config.vocab_size < vocab_size:
        raise RecipeError(
            f"the model in {where} knows {config.vocab_size} tokens, the corpus has {vocab_size}: "
            "bucket the corpus with the model's own tokenizer"
        )
