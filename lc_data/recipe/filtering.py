"""Which documents stay: rules as data, applied in order, each to the domains and languages it names.

Nothing is dropped by default. A rule without ``domains`` judges every domain of plain documents; dialogues are judged
only by rules that name their domain, because thresholds made for prose say nothing about a short answer. No rule has
an upper bound on length by default: the published Gopher bound of 100,000 words drops every long book.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section

ENGLISH_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
CHINESE_STOP_WORDS = tuple("的一是不了在有人之而其也以为為者与與")


class RuleBase(Section):
    """What every rule has."""

    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Its name in the ledger; by default the kind of rule."""
    domains: tuple[str, ...] | None = None
    """Judge only these domains; null: every domain that does not hold dialogues."""
    languages: tuple[str, ...] | None = None
    """Judge only documents whose ``language`` is one of these; a document without a language is then not judged."""


class LengthRule(RuleBase):
    """Bounds on size. Null means no bound."""

    rule: Literal["length"]
    min_bytes: int | None = Field(default=None, ge=0)
    max_bytes: int | None = Field(default=None, ge=0)
    min_chars: int | None = Field(default=None, ge=0)
    max_chars: int | None = Field(default=None, ge=0)
    min_words: int | None = Field(default=None, ge=0)
    max_words: int | None = Field(default=None, ge=0)
    """Words are runs without white space; each Han or kana character is a word."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> LengthRule:
        for unit in ("bytes", "chars", "words"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{unit} is {low} and max_{unit} is {high}: no document can satisfy both")
        return self


class LanguageRule(RuleBase):
    """Identifies the language of each document over sampled windows and keeps the languages named.

    Writes the document's ``language`` where it is null; a language that the source states is believed.
    """

    rule: Literal["language"]
    keep: tuple[str, ...] | None = None
    """Language codes to keep (ISO 639, as the model names them); null keeps all and only writes the column."""
    min_score: float = Field(default=0.0, ge=0, le=1)
    """The least mean confidence, over windows, in the document's language."""
    model: str | None = None
    """A local fastText model (lid.176.bin or .ftz); null uses the model that py3langid ships."""
    windows: int = Field(default=4, ge=1)
    """Windows judged in a long document, evenly spread from its start to its end."""
    window_bytes: int = Field(default=384, ge=64)
    """Size of a window. A document no longer than all windows together is cut into windows whole."""


class GopherQualityRule(RuleBase):
    """The quality rules of Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A1.1). Null switches a test off."""

    rule: Literal["gopher_quality"]
    min_words: int | None = Field(default=50, ge=0)
    max_words: int | None = Field(default=None, ge=0)
    """The paper has 100,000, which drops long books."""
    min_mean_word_length: float | None = 3.0
    max_mean_word_length: float | None = 10.0
    """Not applied where Han and kana characters, one-character words each, are most of the words."""
    max_hash_ratio: float | None = 0.1
    max_ellipsis_ratio: float | None = 0.1
    max_bullet_lines_ratio: float | None = 0.9
    max_ellipsis_lines_ratio: float | None = 0.3
    min_alpha_words_ratio: float | None = 0.8
    min_stop_words: int | None = Field(default=2, ge=0)
    """Different stop words that must occur."""
    stop_words: tuple[str, ...] = Field(default=(*ENGLISH_STOP_WORDS, *CHINESE_STOP_WORDS), max_length=64)
    """The paper's English words and the commonest modern and classical Chinese ones. Give your own for others."""


class GopherRepetitionRule(RuleBase):
    """The repetition rules of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1). Null switches a test off."""

    rule: Literal["gopher_repetition"]
    max_duplicate_lines: float | None = 0.3
    max_duplicate_line_chars: float | None = 0.2
    max_duplicate_paragraphs: float | None = 0.3
    max_duplicate_paragraph_chars: float | None = 0.2
    max_top_ngram_chars: dict[int, float] = Field(default={2: 0.2, 3: 0.18, 4: 0.16})
    """For each n of 2 and more: the share of characters in the commonest n-gram. Where most words are single Han or
    kana characters, n counts pairs of them, here and below."""
    max_duplicate_ngram_chars: dict[int, float] = Field(default={5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10})
    """For each n of 2 and more: the share of characters in n-grams that occurred before."""

    @model_validator(mode="after")
    def _ngrams_are_short(self) -> GopherRepetitionRule:
        for key in ("max_top_ngram_chars", "max_duplicate_ngram_chars"):
            wrong = [n for n in getattr(self, key) if not 2 <= n <= 32]
            if wrong:
                raise ValueError(f"{key} names {wrong[0]}-grams; n must be from 2 to 32")
        return self


class DatatroveRule(RuleBase):
    """A filter or formatter of datatrove, by the name of its class."""

    rule: Literal["datatrove"]
    block: str
    """For instance ``C4QualityFilter``, ``FineWebQualityFilter``, ``PIIFormatter``, ``FTFYFormatter``."""
    args: dict[str, Any] = Field(default={})
    """Arguments of the block's constructor."""
    transform: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Required where the block rewrites text: the name under which the ledger counts what it added or took away."""


FilterRule = Annotated[
    LengthRule | LanguageRule | GopherQualityRule | GopherRepetitionRule | DatatroveRule,
    Field(discriminator="rule"),
]


class FilterSection(Section):
    """The rules, in the order in which they are applied. A document is dropped by the first that it fails."""

    rules: tuple[FilterRule, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> FilterSection:
        names = [rule.name or rule.rule for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}; give each a `name` of its own for the ledger")
        return self
