"""Which evaluations the training documents must not give away, and how that is found out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section

_LAYOUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "longbench": {"question": ("input",), "answer": ("answers",), "context": ("context",)},
    "l_eval": {"question": ("instructions",), "answer": ("outputs",), "context": ("input",)},
    "needle": {"question": ("retrieval_question",), "answer": ("needle", "arg2"), "context": ()},
}


class EvaluationFiles(Section):
    """The files of one evaluation: JSON Lines, plain, .gz or .zst, one object an item."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Its name in the rows of hits."""
    paths: tuple[str, ...] = Field(min_length=1)
    """Files, globs, or folders with their .jsonl files."""
    layout: Literal["longbench", "l_eval", "needle", "fields"]
    """What the fields are called. ``longbench``: ``input`` is the question, ``context``, ``answers``. ``l_eval``:
    ``input`` is the context, ``instructions`` and ``outputs``. ``needle``: ``retrieval_question``, and as answers the
    ``needle`` and ``arg2``. ``fields``: as ``question``, ``answer`` and ``context`` name them here."""
    question: tuple[str, ...] = ()
    """For ``fields``: the fields, strings or lists of strings, that hold questions."""
    answer: tuple[str, ...] = ()
    """For ``fields``: those that hold answers."""
    context: tuple[str, ...] = ()
    """For ``fields``: those that hold what is asked about."""

    @model_validator(mode="after")
    def _fields_are_named_where_they_are_free(self) -> EvaluationFiles:
        named = self.question or self.answer or self.context
        if self.layout == "fields" and not named:
            raise ValueError("layout `fields` needs the names of fields: question, answer or context")
        if self.layout != "fields" and named:
            raise ValueError(f"layout {self.layout!r} has its own field names; for others say `layout: fields`")
        return self

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The keys of a row that hold its ``question``, ``answer`` and ``context``."""
        if self.layout != "fields":
            return _LAYOUTS[self.layout]
        return {"question": self.question, "answer": self.answer, "context": self.context}


class DecontaminationSection(Section):
    """Word n-grams that documents share with evaluations, after all rules and in every domain, dialogues too.

    One n-gram of a question or an answer drops the document (``decontaminate/question``, ``decontaminate/answer``);
    contexts are public documents, so those of a context are only reported, and an answer that merely quotes its own
    context counts as context. Every hit is a row of ``contamination/``: document, item, field and span. Words are
    compared without case, punctuation and layout; each Han or kana character is a word, and a text of them is looked
    for by longer n-grams.
    """

    evaluations: tuple[EvaluationFiles, ...] = Field(min_length=1)
    ngram_words: int = Field(default=13, ge=2, le=64)
    """Words of an n-gram: 13 since GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix C)."""
    min_words: int = Field(default=8, ge=2)
    """A question, answer or context shorter than an n-gram is looked for whole when it has at least so many words.
    Shorter ones stand in too many innocent documents: they are not looked for, and counted as ``too_short``."""
    ngram_han: int = Field(default=26, ge=2, le=64)
    """Words of an n-gram where most words of a question, answer or context are single Han or kana characters: a Chinese
    word has about two. Of the runs of 13 characters in one half of a Chinese corpus 7.3% stand in the other half too,
    of the runs of 26 2.4%."""
    min_han: int = Field(default=16, ge=2)
    """What ``min_words`` is, for such a text."""
    max_items: int = Field(default=4, ge=1)
    """An n-gram of more items than this is a form of words ("answer the question based on the passages") and is not
    looked for. The item named in a hit is the first that has it."""
    context_sample: int = Field(default=16, ge=1)
    """Of a context's n-grams one in so many, chosen by hash, is looked for; 1 looks for all. A shared paragraph of 100
    words is then missed once in 300 times."""
    max_index_bytes: int = Field(default=512 << 20, gt=0)
    """The most memory that the index may take; the stage stops where it would need more."""

    @model_validator(mode="after")
    def _short_is_shorter(self) -> DecontaminationSection:
        if self.min_words > self.ngram_words:
            raise ValueError(f"min_words is {self.min_words}; it cannot exceed ngram_words, {self.ngram_words}")
        if self.min_han > self.ngram_han:
            raise ValueError(f"min_han is {self.min_han}; it cannot exceed ngram_han, {self.ngram_han}")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> DecontaminationSection:
        names = [each.name for each in self.evaluations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two evaluations are called {twice[0]!r}; give each a name of its own")
        return self
