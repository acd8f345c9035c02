"""The rule sets that ship: for each kind of text the rules that suit it, as a table.

The published thresholds were made for short web pages in English. Read on books, TeX, statutes or Chinese they remove
what is best there, so each set says what it is for and keeps only the tests that mean something for it. A set is a
beginning: the same rules, written out under ``filter.rules``, can be changed one by one.
"""

from __future__ import annotations

from lc_data.recipe.filtering import (
    BoundsRule,
    FilterRule,
    FilterSection,
    FineWebRule,
    GopherQualityRule,
    GopherRepetitionRule,
    LengthRule,
    RuleSetName,
    Windows,
)

_LONG_NGRAMS = {8: 0.30, 9: 0.28, 10: 0.26}
"""Text with set phrases (statutes, formulas, API pages) repeats short n-grams by nature, long ones only by accident."""

RULE_SETS: dict[RuleSetName, tuple[str, tuple[FilterRule, ...]]] = {
    "web": (
        "Crawled pages in English or a like script: the published Gopher and FineWeb rules, long pages by windows too.",
        (
            GopherQualityRule(rule="gopher_quality", windows=Windows()),
            GopherRepetitionRule(rule="gopher_repetition", windows=Windows()),
            FineWebRule(rule="fineweb"),
        ),
    ),
    "books": (
        "Whole books in any language: bad scans at either end are cut off, books bad inside go.",
        (
            GopherQualityRule(
                rule="gopher_quality",
                min_words=500,
                min_alpha_words_ratio=0.7,
                min_stop_words=None,
                windows=Windows(size_bytes=16_384, on_fail="trim"),
            ),
            GopherRepetitionRule(
                rule="gopher_repetition",
                max_duplicate_lines=0.5,
                max_duplicate_line_chars=0.3,
                max_duplicate_paragraphs=0.5,
                max_top_ngram_chars={},
                windows=Windows(whole=False),
            ),
        ),
    ),
    "code": (
        "Source files and repositories: minified, generated and data-like text goes; nothing is asked of its prose.",
        (
            LengthRule(rule="length", min_bytes=100),
            BoundsRule(rule="bounds", name="line_length", measure="chars", per="lines", max=150),
            BoundsRule(rule="bounds", name="longest_line", measure="longest_line", max=5000),
            BoundsRule(rule="bounds", name="letters", measure="letters", per="chars", min=0.25),
            BoundsRule(rule="bounds", name="digits", measure="digits", per="chars", max=0.4),
        ),
    ),
    "papers": (
        "Papers and textbooks, in TeX or as text: formulas, comments and references are not counted as noise.",
        (
            GopherQualityRule(
                rule="gopher_quality",
                max_mean_word_length=14,
                max_hash_ratio=0.3,
                max_ellipsis_ratio=0.3,
                min_alpha_words_ratio=0.5,
                windows=Windows(),
            ),
            GopherRepetitionRule(
                rule="gopher_repetition",
                max_duplicate_lines=0.6,
                max_duplicate_line_chars=0.3,
                max_top_ngram_chars={},
                max_duplicate_ngram_chars=_LONG_NGRAMS,
                windows=Windows(whole=False),
            ),
        ),
    ),
    "law": (
        "Statutes and judgments: numbered lists, fixed formulas and repeated headings are the nature of the text.",
        (
            GopherQualityRule(
                rule="gopher_quality",
                max_bullet_lines_ratio=None,
                max_ellipsis_ratio=0.3,
                min_alpha_words_ratio=0.6,
                windows=Windows(),
            ),
            GopherRepetitionRule(
                rule="gopher_repetition",
                max_duplicate_lines=0.6,
                max_duplicate_line_chars=0.4,
                max_duplicate_paragraphs=0.6,
                max_duplicate_paragraph_chars=0.4,
                max_top_ngram_chars={},
                max_duplicate_ngram_chars=_LONG_NGRAMS,
                windows=Windows(whole=False),
            ),
        ),
    ),
    "qa": (
        "Questions with answers, forums and wikis: short turns, lists and code are welcome, empty threads are not.",
        (
            GopherQualityRule(
                rule="gopher_quality",
                min_words=20,
                max_mean_word_length=15,
                max_hash_ratio=0.3,
                max_bullet_lines_ratio=None,
                min_alpha_words_ratio=0.6,
                min_stop_words=None,
                windows=Windows(),
            ),
            GopherRepetitionRule(
                rule="gopher_repetition",
                max_duplicate_lines=0.5,
                max_duplicate_paragraphs=0.5,
                max_top_ngram_chars={},
                max_duplicate_ngram_chars=_LONG_NGRAMS,
                windows=Windows(whole=False),
            ),
        ),
    ),
    "chinese": (
        "Chinese of any period, verse and technical text too: characters count as words, punctuation as no fault.",
        (
            GopherQualityRule(
                rule="gopher_quality",
                min_words=20,
                min_mean_word_length=None,
                max_mean_word_length=None,
                max_hash_ratio=0.3,
                min_alpha_words_ratio=0.5,
                min_stop_words=None,
                windows=Windows(),
            ),
            BoundsRule(rule="bounds", name="han", measure="han_chars", per="chars", min=0.05),
            GopherRepetitionRule(
                rule="gopher_repetition",
                max_duplicate_lines=0.5,
                max_duplicate_line_chars=0.3,
                max_top_ngram_chars={},
                windows=Windows(whole=False),
            ),
        ),
    ),
}
"""By name: what the set is for, and its rules."""


def resolve_rules(section: FilterSection) -> tuple[FilterRule, ...]:
    """All rules of a recipe in the order of their application: those of its sets, by set, then its own.

    A set's rule is called ``<set>-<rule>`` and judges the domains that the recipe gives to the set.
    """
    ours = [
        rule.model_copy(update={"name": f"{name}-{rule.name or rule.rule}", "domains": domains})
        for name, domains in section.sets.items()
        for rule in RULE_SETS[name][1]
    ]
    return (*ours, *section.rules)
