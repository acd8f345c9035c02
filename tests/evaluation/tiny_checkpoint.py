"""A checkpoint with a tokenizer, small enough to be made for each test."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel

from lc_data.recipe.model import ModelShape
from lc_data.training.config import ModelConfig
from lc_data.training.model import CausalLM
from lc_data.training.weights import export, fill, random_weights

END = "<|endoftext|>"


def write_tokenizer(folder: Path) -> Tokenizer:
    """A byte-level BPE over bytes and a few pairs, which encodes any text and decodes it back."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(["the question and the answer are in the text"] * 3, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def write_checkpoint(folder: Path, max_position_embeddings: int = 256) -> Path:
    """A random Llama of two layers in Hugging Face format."""
    vocab = write_tokenizer(folder).get_vocab_size()
    shape = ModelShape(hidden_size=16, layers=2, heads=2, kv_heads=1, intermediate_size=24)
    config = ModelConfig.from_shape(shape, vocab)
    model = CausalLM(config)
    fill(model, random_weights(0.4, 0))
    export(model, folder, writes=True)
    content = json.loads((folder / "config.json").read_text())
    content |= {"max_position_embeddings": max_position_embeddings}
    (folder / "config.json").write_text(json.dumps(content))
    return folder
