"""What is trained, how, and how it is evaluated: pretraining, SFT, evaluation.

Batch sizes and lengths are in tokens, never in rows: a row is one pack of ``pack.seq_len`` tokens, and how many rows a
batch takes on each rank follows from the number of processes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.evaluation import SuitesSection
from lc_data.recipe.model import ModelSection
from lc_data.recipe.section import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A part of a whole: 0.1 is a tenth."""
WSD_DECAY_SHARE = 0.2
"""What ``wsd`` decays in where nothing is said."""


class OptimizerSection(Section):
    """AdamW. Weight decay applies to matrices only, not to norms and biases."""

    peak_learning_rate: float = Field(default=1e-5, gt=0)
    betas: tuple[Share, Share] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest global norm of the gradient; above it the gradient is scaled down."""


class ScheduleSection(Section):
    """The learning rate over the steps, as shares of the peak and of the run."""

    kind: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """After the warm-up: ``cosine`` and ``linear`` fall to the floor with the last step, ``constant`` stays at the
    peak, ``wsd`` (warm-up, stable, decay) stays and then falls linearly."""
    warmup_share: Share = 0.1
    """Share of the steps in which the rate rises linearly to its peak."""
    floor_share: Share = 0.1
    """Rate at the end as a share of the peak (not for ``constant``)."""
    decay_share: Share | None = None
    """Share of the steps that ``wsd`` decays in; null is 0.2, or what ``decay_stage`` says."""
    decay_stage: str | None = None
    """The stage of the mixture with which ``wsd`` begins to decay, so that the mixture switches there. A
    ``decay_share`` beside it must say the same."""

    @model_validator(mode="after")
    def _phases_fit(self) -> ScheduleSection:
        given = [name for name in ("decay_share", "decay_stage") if getattr(self, name) is not None]
        if given and self.kind != "wsd":
            raise ValueError(f"{given[0]} is of kind wsd, this one is {self.kind}")
        decay = self.decay_share or (WSD_DECAY_SHARE if self.kind == "wsd" and not given else 0.0)
        if self.warmup_share + decay > 1:
            raise ValueError(f"warmup_share + decay_share is {self.warmup_share + decay}, must be <= 1")
        return self


class CheckpointSection(Section):
    """When the state of the training is saved; it is always saved at the end and on SIGTERM or SIGUSR1."""

    every_minutes: float | None = Field(default=15.0, gt=0)
    """Minutes between checkpoints; null for none by time."""
    every_steps: int | None = Field(default=None, gt=0)
    """Steps between checkpoints; null for none by step."""
    keep: int = Field(default=2, ge=1)
    """How many of the newest checkpoints stay on disk."""


class GuardSection(Section):
    """What happens to a step whose loss or gradient is not finite, or far above what it was before."""

    on_divergence: Literal["stop", "skip"] = "stop"
    """``stop`` ends the training with an error that names the packs; ``skip`` leaves their update out, as OLMo's
    skip-step optimizer does, and goes on."""
    max_skipped: int = Field(default=10, ge=1)
    """Updates that ``skip`` leaves out before it stops."""
    spike_deviations: float | None = Field(default=None, gt=0)
    """A loss or gradient norm of more than so many standard deviations above its mean over the ``window`` steps before
    counts as a divergence (OLMo: 6); null looks at what is not finite only."""
    window: int = Field(default=128, ge=2)
    """Steps that the mean and the deviation are of; nothing is a spike before there are so many."""


class MetricsSection(Section):
    """What is measured during a training, beside ``metrics.jsonl``, which always has a row for every step."""

    tracking: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where the figures also go. wandb is offline unless ``WANDB_MODE`` says otherwise."""
    losses_every_steps: int = Field(default=50, gt=0)
    """Steps that a row of ``losses.jsonl`` covers: loss by domain and position."""
    long_gain_documents: int = Field(default=8, ge=0)
    """Held-out documents, as long as a row or as 32K, on which the gain from long context is measured with every row of
    ``losses.jsonl``; 0 for none. Each costs two forward passes of its length."""


class TrainSection(Section):
    """What pretraining and SFT have in common."""

    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    checkpoint: CheckpointSection = CheckpointSection()
    guard: GuardSection = GuardSection()
    metrics: MetricsSection = MetricsSection()
    batch_tokens: int = Field(default=4 << 20, gt=0)
    """Tokens per optimizer step over all ranks: a multiple of ``pack.seq_len`` times the number of processes."""
    steps: int | None = Field(default=None, gt=0)
    """Optimizer steps; null means ``total_tokens``, or else all whole batches of the plan."""
    total_tokens: int | None = Field(default=None, gt=0)
    """Tokens to train on, instead of ``steps``."""
    processes: int = Field(default=1, ge=1)
    """Processes that the command line starts on this machine (one per device); under torchrun, torchrun decides."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of weights and activations in the forward and backward pass; master weights, optimizer state and gradient
    sums are float32. ``auto``: bfloat16 on CUDA, float32 elsewhere."""
    activation_checkpointing: bool = False
    """Keep only the input of each layer and compute the layer again in the backward pass: less memory, a third more
    work."""
    compile: bool = False
    """Compile each layer with ``torch.compile``: minutes at the start, faster steps on a GPU."""
    context_parallel: int = Field(default=1, ge=1)
    """Processes that share each pack (DeepSpeed-Ulysses, arXiv 2309.14509): each holds a part of its tokens, and in
    attention a part of its heads. It divides the processes, the heads, the key and value heads and ``pack.seq_len``.
    For packs whose activations do not fit one device."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainSection:
        if self.steps is not None and self.total_tokens is not None:
            raise ValueError("give `steps` or `total_tokens`, not both")
        return self


class PretrainSection(TrainSection):
    """Continued pretraining, or pretraining of a small model from nothing, on the plan ``pretrain``."""

    model: ModelSection


class SftSection(TrainSection):
    """Supervised fine-tuning on the plan ``sft``: the same loop, with loss on the answers only."""

    init_from: str | None = None
    """Folder of the checkpoint to start from; null means the run's own ``pretrain/export``."""
    impl: Literal["own", "hf"] | None = None
    """What computes the model, see ``pretrain.model.impl``; null means as there, and ``own`` without pretraining."""
    loss: Literal["token_mean", "sequence_mean"] = "token_mean"
    """What a step's loss is the mean of. ``token_mean``: its target tokens, each weighing the same, whatever its
    dialogue, pack or rank; long answers then decide. ``sequence_mean``: its dialogues, each by the mean over its own
    target tokens (LongAlign, arXiv 2401.18058), so that a short answer weighs as much as a long one; neither packing
    nor ranks change it. Prompts and padding weigh nothing in both."""
    batch_tokens: int = Field(default=1 << 20, gt=0)
    """Tokens per optimizer step over all ranks, targets or not."""
    optimizer: OptimizerSection = OptimizerSection(peak_learning_rate=5e-6)


class EvaluationSection(Section):
    """Evaluation of the run's checkpoints."""

    max_documents: int | None = Field(default=None, gt=0)
    """Documents of the plan ``held_out`` to use, in plan order; null for all."""
    first_bucket_tokens: int = Field(default=1024, gt=0)
    """Where the second position bucket begins, a power of two. Buckets double from there: with 1024 they are positions
    0-1023, 1024-2047, 2048-4095, ..."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of weights and activations; ``auto``: bfloat16 on CUDA, float32 elsewhere."""
    impl: Literal["own", "hf"] = "own"
    """What computes the models, see ``pretrain.model.impl``."""
    suites: SuitesSection | None = None
    """Suites of tasks that every checkpoint of the run is put to as well. Needles hide in the run's held-out documents
    unless ``haystacks`` names others; answers and scores go to ``evaluate/<checkpoint>/``. ``dtype`` and ``impl`` are
    those of the suites themselves."""

    @model_validator(mode="after")
    def _power_of_two(self) -> EvaluationSection:
        if self.first_bucket_tokens & (self.first_bucket_tokens - 1):
            raise ValueError(f"first_bucket_tokens must be a power of two, got {self.first_bucket_tokens}")
        return self
