"""What counts as the same document twice, and which copy stays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class NearDuplicates(Section):
    """Documents whose sets of word n-grams overlap: MinHash proposes, exact Jaccard decides.

    Two thresholds stand before the exact one only to save work. With 16 bands of 8 rows, a pair of true Jaccard 0.8
    becomes a candidate with probability 0.95 and one of 0.85 with 0.994; those that share no band are found by the
    samples that containment is searched with, where it is.
    """

    threshold: float = Field(default=0.8, gt=0, le=1)
    """The least Jaccard similarity of the two sets of n-grams. 0.8 on 5-grams is about 2.5% of the words changed."""
    ngram_words: int = Field(default=5, ge=1, le=32)
    bands: int = Field(default=16, ge=1, le=64)
    rows: int = Field(default=8, ge=1, le=32)
    """The signature has ``bands * rows`` permutations."""
    signature_slack: float = Field(default=0.12, ge=0, le=1)
    """Candidates whose signatures agree in less than ``threshold - signature_slack`` are not read again. At 128
    permutations 0.12 is 3.4 standard errors: 3 in 10,000 true pairs are lost."""
    all_pairs_up_to: int = Field(default=64, ge=2)
    """In a bucket of more documents than this, each is compared with the 8 longest and with its 8 longer neighbours."""


class Containment(Section):
    """Excerpts and editions: documents most of whose text stands in another one, however long that is.

    A sample of the n-grams proposes, the texts decide: pairs whose samples or signatures put the threshold out of
    reach, by two and three standard errors, are not read. What goes is named ``contained`` where the other document
    says much more, and ``edition`` where each of the two holds most of the other.
    """

    threshold: float = Field(default=0.5, gt=0, le=1)
    """The least share of a document's different n-grams that the other has too: one word in ten changed leaves 0.59 of
    the 5-grams, one in thirty 0.86."""
    coverage: float = Field(default=0.8, gt=0, le=1)
    """The least share of a document's words that stand in a shared n-gram. It tells a copy with changes from a document
    that is partly its own: one word in ten changed leaves 0.83, a half that is quoted and a half that is new 0.5. The
    Hanshu's lives of people whom the Shiji tells of too lie at 0.72 to 0.76; they stay."""
    short_coverage: float = Field(default=0.9, gt=0, le=1)
    """The same for documents with fewer than ``min_keys`` n-grams in their sample. Pages of manuals that follow one
    template share 0.8 of their few words and are about different things; an excerpt with one word in thirty changed
    lies at 0.96."""
    ngram_words: int = Field(default=5, ge=1, le=32)
    one_in: int = Field(default=64, ge=2, le=1 << 16)
    """One n-gram of so many is in the sample, chosen by its hash: equal ones are chosen in every document."""
    min_keys: int = Field(default=8, ge=1, le=1024)
    """A document with fewer n-grams in its sample than this (one of 500 words or less) adds those of its n-grams whose
    hashes are the smallest: so short ones meet each other, while they meet long ones by one in ``one_in`` as all do.
    One that shares n of them with another is missed with probability ``(1 - 1/one_in)^n``: 1% at 300 words."""
    max_documents_per_key: int = Field(default=64, ge=2)
    """N-grams that more documents share say nothing (a licence, a footer) and are left out before documents meet."""


class Preference(Section):
    """One thing by which documents come before others when it is decided which copy stays."""

    by: Literal["domain", "source", "license", "date"]
    order: tuple[str, ...] = Field(default=(), max_length=254)
    """For domain, source and licence: their values, the best first; those that are not named come last. A source is
    named whole or by its beginning: a source of the recipe, or a repository."""
    field: str = "created"
    """For date: the metadata field that holds it, as a year, a month or a day (1869, 2021-03, 2021-03-31...)."""
    first: Literal["newest", "oldest"] = "newest"
    """For date. Documents without a date that can be read come last either way."""

    @model_validator(mode="after")
    def _order_where_it_is_needed(self) -> Preference:
        if self.by == "date" and self.order:
            raise ValueError("by: date takes field and first, and no order")
        if self.by != "date" and not self.order:
            raise ValueError(f"by: {self.by} needs order, the values from the best to the worst")
        return self


class DedupeSection(Section):
    """How duplicates are removed. Of documents that can stand for each other the first stays.

    First is who comes first by ``keep``, then the longest, then the smallest id. A document is removed only for a
    verified pair of itself and an earlier document that stays: similarity is never carried on from one pair to the
    next, and nothing goes in favour of what ``keep`` puts behind it.
    """

    exact: bool = True
    """Remove documents that are equal after white space is normalised."""
    near: NearDuplicates | None = NearDuplicates()
    """Null: no search for near-duplicates."""
    containment: Containment | None = Containment()
    """Null: no search for excerpts and editions."""
    span_words: int = Field(default=50, ge=5, le=1000)
    """Every removal names the spans it shares with its keeper: runs of at least so many equal words. An excerpt or an
    edition without one is no such thing, and stays."""
    keep: tuple[Preference, ...] = ()
    """What comes before length, most important first: ``[{by: license, order: [CC0-1.0]}, {by: date}]``."""
    scope: Literal["corpus", "domain"] = "corpus"
    """Compare documents across domains, or only within each. Dialogues are always compared within their domain."""
    exact_only_domains: tuple[str, ...] = ()
    """Domains of which only exact duplicates are removed. Dialogue domains are among them always."""
    max_loss: float = Field(default=0.5, gt=0, le=1)
    """The stage stops, with examples, when a source loses more than this share of its documents."""
    max_loss_by_domain: dict[str, float] = Field(default={})
    """Other shares for single domains, where many copies are expected (licence texts, say)."""
    min_documents_for_alarm: int = Field(default=20, ge=1)
    """Sources with fewer documents are not watched: one of two copies is half of them."""

    @model_validator(mode="after")
    def _shares_are_shares(self) -> DedupeSection:
        for domain, share in self.max_loss_by_domain.items():
            if not 0 < share <= 1:
                raise ValueError(f"max_loss_by_domain.{domain} is {share}; it is a share, above 0 and at most 1")
        return self

    @model_validator(mode="after")
    def _preferences_are_different(self) -> DedupeSection:
        named = [preference.by for preference in self.keep]
        for by in named:
            if named.count(by) > 1:
                raise ValueError(f"keep names {by!r} twice; put its values into one order")
        return self
