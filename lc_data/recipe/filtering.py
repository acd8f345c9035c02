"""Which documents stay: rules as data, applied in order, each to the domains and languages it names.

Nothing is dropped by default. A rule without ``domains`` judges every domain of plain documents; dialogues are judged
only by rules that name their domain, because thresholds made for prose say nothing about a short answer. No rule has
an upper bound on length by default: the published Gopher bound of 100,000 words drops every long book.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lc_data.recipe.classification import ClassifierRule
from lc_data.recipe.decontamination import DecontaminationSection
from lc_data.recipe.rule import RuleBase
from lc_data.recipe.section import Section

ENGLISH_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
CHINESE_STOP_WORDS = tuple("的一是不了在有人之而其也以为為者与與")
STOP_CHARS = ".!?…。！？．｡؟۔।॥‽⁇⁈⁉"
RuleSetName = Literal["web", "books", "code", "papers", "law", "qa", "chinese"]
"""The sets that ship: see ``lc_data.recipe.rule_sets``."""


class Windows(Section):
    """How a rule judges a long document piece by piece, so that a good head does not vouch for a bad body.

    A document is cut at line borders into windows of about equal size, each judged by the rule's own bounds. A document
    of one window is judged as a whole only.
    """

    size_bytes: int = Field(default=32_768, ge=256)
    """About the size of a window; a line is never cut, so a longer line makes a longer window."""
    on_fail: Literal["drop", "trim", "flag"] = "drop"
    """``drop`` the document when too much of it fails; ``trim`` cuts off the windows at its head and tail that fail,
    then drops it when too much of the rest does; ``flag`` keeps it and names the windows in its metadata, under
    ``lc_data.failed_windows``."""
    max_failed: float = Field(default=0.1, ge=0, lt=1)
    """The share of a document's bytes that may lie in windows that fail: a table or an index is no reason to drop, a
    bad fifth is. A document that stays with windows that fail has their share in its metadata, under
    ``lc_data.failed_share``, and the manifest counts it."""
    whole: bool = True
    """Judge the whole document, or what trimming left of it, as well, and drop it when it fails. Measures of repetition
    grow with length: for them ``false`` is often the better answer in books."""
    transform: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """The name under which the ledger counts what ``trim`` took away; by default the rule's name and ``-trim``."""


class WindowedRule(RuleBase):
    """A rule that can judge windows of a document as well as the whole."""

    windows: Windows | None = None
    """Null: the whole document only."""


class LengthRule(WindowedRule):
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
    mixed_share: float = Field(default=0.2, gt=0, le=0.5)
    """A document is mixed when a second language has at least this share of the votes: its metadata then has the share
    of each language under ``lc_data.languages``, and the manifest counts it. A stated language is not examined."""


class GopherQualityRule(WindowedRule):
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


class GopherRepetitionRule(WindowedRule):
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


class FineWebRule(WindowedRule):
    """The line rules of FineWeb (Penedo et al. 2024, arXiv 2406.17557). Null switches a test off.

    Made for web pages, where a line is a paragraph: text that is wrapped by hand fails the last test. Lines are those
    with something in them, without the white space at their ends.
    """

    rule: Literal["fineweb"]
    min_stop_lines_ratio: float | None = Field(default=0.12, ge=0, le=1)
    """The least share of lines that end in one of ``stop_chars``."""
    max_short_lines_ratio: float | None = Field(default=0.67, ge=0, le=1)
    max_duplicate_line_chars_ratio: float | None = Field(default=0.01, ge=0, le=1)
    """The greatest share of characters in lines that occurred before."""
    max_new_lines_per_word: float | None = Field(default=0.3, ge=0)
    short_line_chars: int = Field(default=30, ge=1)
    """A line of at most so many characters is short."""
    stop_chars: str = Field(default=STOP_CHARS, min_length=1)


CountName = Literal[
    "bytes",
    "chars",
    "words",
    "letters",
    "capitals",
    "digits",
    "symbols",
    "spaces",
    "han_chars",
    "lines",
    "new_lines",
    "longest_line",
    "short_lines",
    "stop_lines",
    "duplicate_lines",
    "duplicate_line_chars",
]
"""What can be counted. ``digits`` are 0 to 9, ``han_chars`` Han and kana; ``lines`` have something in them, and
``longest_line``, ``short_lines`` and ``stop_lines`` are as in the rule ``fineweb`` by default."""


class BoundsRule(WindowedRule):
    """A bound of your own on a count, or on the ratio of two: ``{measure: digits, per: chars, max: 0.2}``."""

    rule: Literal["bounds"]
    measure: CountName
    per: CountName | None = None
    """Null: the count itself. A document of which there are none of ``per`` fails no bound."""
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _something_is_bounded(self) -> BoundsRule:
        if self.min is None and self.max is None:
            raise ValueError("neither min nor max is given; the rule would judge nothing")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min} and max is {self.max}: no document can satisfy both")
        return self


class CoherenceRule(RuleBase):
    """How much better a document compresses as a whole than in pieces: 1 - whole / sum of pieces (deflate).

    Long documents spliced from unrelated ones gain little, real ones and repetitive ones much. It says nothing about
    order or argument. Writes ``lc_data.coherence`` into the metadata of every document of more than one piece; without
    bounds that is all it does.
    """

    rule: Literal["coherence"]
    piece_bytes: int = Field(default=8192, ge=1024)
    min: float | None = Field(default=None, ge=-1, le=1)
    max: float | None = Field(default=None, ge=-1, le=1)


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
    LengthRule
    | LanguageRule
    | GopherQualityRule
    | GopherRepetitionRule
    | FineWebRule
    | BoundsRule
    | CoherenceRule
    | ClassifierRule
    | DatatroveRule,
    Field(discriminator="rule"),
]


class GzipBand(Section):
    """Drops the documents that compress best and worst: repeated text at one end, noise and data at the other.

    The share is of each stratum, domain by length, because the ratio falls with length and differs between languages.
    It judges last, what every rule has left; documents it does not drop keep ``lc_data.gzip_ratio`` (compressed bytes
    over bytes) in their metadata. Equal ratios, to one part in 10,000, go or stay together, so that up to the documents
    at the two borders fewer may go than the shares say.
    """

    domains: tuple[str, ...] | None = None
    """Judge only these domains; null: every domain that does not hold dialogues."""
    drop_low: float = Field(default=0.2, ge=0, lt=1)
    """The share of most compressible documents to drop."""
    drop_high: float = Field(default=0.2, ge=0, lt=1)
    """The share of least compressible documents to drop."""
    edges_bytes: tuple[int, ...] = (8_192, 32_768, 131_072, 524_288)
    """Where one length bucket ends and the next begins."""
    min_bytes: int = Field(default=0, ge=0)
    """Shorter documents are not judged."""
    min_documents: int = Field(default=20, ge=1)
    """A smaller stratum is not judged: a fifth of three documents says nothing."""

    @model_validator(mode="after")
    def _something_stays(self) -> GzipBand:
        if self.drop_low + self.drop_high >= 1:
            raise ValueError(f"drop_low {self.drop_low} and drop_high {self.drop_high} together leave nothing")
        if list(self.edges_bytes) != sorted(set(self.edges_bytes)) or min(self.edges_bytes, default=1) < 1:
            raise ValueError(f"edges_bytes {list(self.edges_bytes)} must be positive and rise")
        return self


class FilterSection(Section):
    """The rules, in the order in which they are applied. A document is dropped by the first that it fails.

    ``sets: {web: [crawl], books: [gutenberg, pg19]}`` applies the rules that ship for a kind of text to the domains
    named; they come before ``rules``, and the ledger names them ``<set>-<rule>``.
    """

    sets: dict[RuleSetName, tuple[str, ...]] = Field(default={})
    """The rule sets that ship, each with its domains."""
    rules: tuple[FilterRule, ...] = ()
    gzip_band: GzipBand | None = None
    decontaminate: DecontaminationSection | None = None
    """Takes out what evaluations have too."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> FilterSection:
        names = [rule.name or rule.rule for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}; give each a `name` of its own for the ledger")
        return self

    @model_validator(mode="after")
    def _sets_have_domains(self) -> FilterSection:
        for name, domains in self.sets.items():
            if not domains:
                raise ValueError(f"sets.{name} names no domain; a set judges only the domains that it names")
            taken = [rule.name for rule in self.rules if rule.name and rule.name.startswith(f"{name}-")]
            if taken:
                raise ValueError(f"the rule name {taken[0]!r} belongs to the set {name!r}; choose another")
        return self

    @model_validator(mode="after")
    def _flags_come_after_cuts(self) -> FilterSection:
        flagged = None
        for rule in self.rules:
            windows = rule.windows if isinstance(rule, WindowedRule) else None
            moves = (isinstance(rule, DatatroveRule) and rule.transform) or (windows and windows.on_fail == "trim")
            if flagged and moves:
                raise ValueError(
                    f"rule {rule.name or rule.rule!r} changes texts after {flagged!r} has flagged places in them; "
                    "put the rule that flags last"
                )
            if windows and windows.on_fail == "flag":
                flagged = rule.name or rule.rule
        return self
