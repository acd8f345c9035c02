"""A quality classifier as a filter rule: a model that is there already, or examples to train one from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lc_data.recipe.rule import RuleBase
from lc_data.recipe.section import Section

NOTED = ("coherence", "failed_share", "failed_windows", "gzip_ratio", "languages")
"""What other rules write under ``lc_data`` into the metadata: no classifier may take these names."""


class ClassifierExamples(Section):
    """Documents of one class: files of their own, or domains of this run as they were ingested."""

    paths: tuple[str, ...] = ()
    """Files, folders or globs."""
    kind: Literal["jsonl", "parquet", "arrow", "text"] = "jsonl"
    """How the files are read, with the field names that such a source has by default."""
    domains: tuple[str, ...] = ()
    """Domains of the run."""

    @model_validator(mode="after")
    def _one_origin(self) -> ClassifierExamples:
        if bool(self.paths) == bool(self.domains):
            raise ValueError("give either `paths` or `domains`: the examples of a class come from one of them")
        return self


class ClassifierTraining(Section):
    """How a classifier is trained: fastText's supervised model with two labels, ``positive`` and ``negative``."""

    positive: ClassifierExamples
    """Documents as they are wanted."""
    negative: ClassifierExamples
    """Documents as they are not, or an ordinary mixture."""
    max_documents: int = Field(default=5000, ge=20)
    """At most so many documents of each class, chosen by a hash of their ids. One in ten is held out to measure the
    classifier; the figures are in the manifest's facts under ``classifiers``."""
    word_ngrams: int = Field(default=2, ge=1, le=5)
    """Features are words, and runs of up to so many of them."""
    epochs: int = Field(default=5, ge=1, le=100)


class ClassifierRule(RuleBase):
    """Scores documents with a fastText classifier, over windows spread from the start to the end of each.

    Text is shown to the model with Han and kana characters set apart by spaces and all other white space as one space.
    The score, from 0 to 1, goes into the metadata as ``lc_data.<name of the rule>``; without ``min_score`` and with
    ``sample: score`` that is all it does. A trained model is published as ``filter/classifiers/<name>.bin``, and other
    recipes can name it as their ``model``.
    """

    rule: Literal["classifier"]
    model: str | None = None
    """A local fastText model of labels, ``.bin`` or ``.ftz``."""
    train: ClassifierTraining | None = None
    """Train one instead."""
    label: str = "positive"
    """The label whose probability is a window's score, with or without ``__label__``."""
    windows: int | None = Field(default=16, ge=1)
    """Windows scored in a long document, evenly spread; a document no longer than all of them is scored whole. Null
    scores every document whole."""
    window_bytes: int = Field(default=2048, ge=64)
    """Size of a window."""
    window_score: float | None = Field(default=None, ge=0, le=1)
    """Null: a document's score is the mean over its windows; otherwise the share of windows that reach this score."""
    min_score: float | None = Field(default=None, ge=0, le=1)
    """Drop documents of a lower score."""
    sample: Literal["score", "pareto"] = "score"
    """``score`` keeps what reaches ``min_score``; ``pareto`` keeps besides only what passes a draw, likelier the higher
    the score: a document stays where a Pareto variate exceeds 1 - score (Brown et al. 2020, arXiv 2005.14165,
    appendix A)."""
    pareto_alpha: float = Field(default=9, gt=0)
    """The shape of the draw: the larger, the fewer documents of low score stay."""
    seed: int = Field(default=0, ge=0)
    """Of the draw and of the choice of examples. Both depend on a document's id alone, not on its neighbours."""

    @model_validator(mode="after")
    def _one_model(self) -> ClassifierRule:
        if (self.model is None) == (self.train is None):
            raise ValueError("give either `model`, a fastText file, or `train`, the examples to train one from")
        if self.train is not None and self.label not in ("positive", "negative"):
            raise ValueError(f"label is {self.label!r}; a trained classifier has `positive` and `negative`")
        if self.name in NOTED:
            raise ValueError(f"the name {self.name!r} is what another rule writes into the metadata; choose another")
        return self
