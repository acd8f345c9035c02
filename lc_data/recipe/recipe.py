"""The whole recipe: one file, one pipeline, from sources to evaluation."""

from __future__ import annotations

from pydantic import Field, model_validator

from lc_data.recipe.augment import Transform, check_transforms
from lc_data.recipe.dedupe import DedupeSection
from lc_data.recipe.engine import EngineSection
from lc_data.recipe.errors import nearest
from lc_data.recipe.exclusion import ExclusionSection
from lc_data.recipe.filtering import FilterSection
from lc_data.recipe.ladder import LadderSection
from lc_data.recipe.mixture import HeldOut, MixtureSection
from lc_data.recipe.packing import PackSection
from lc_data.recipe.section import Section
from lc_data.recipe.sources import IngestSection, Source
from lc_data.recipe.tokens import BucketSection, TokenizerSection
from lc_data.recipe.training import EvaluationSection, PretrainSection, SftSection


class Recipe(Section):
    """What the user asks for, validated as a whole before any work starts."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Names the run: outputs go to ``runs/<name>`` unless told otherwise."""
    description: str = ""
    variables: dict[str, str | None] = Field(default_factory=dict)
    """Values for ``${name}`` anywhere in the recipe; a null one must be given with ``-o variables.name=value``."""
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    sources: tuple[Source, ...] = Field(min_length=1)
    ingest: IngestSection = IngestSection()
    filter: FilterSection = FilterSection()
    dedupe: DedupeSection = DedupeSection()
    tokenizer: TokenizerSection
    bucket: BucketSection = BucketSection()
    mixture: MixtureSection = MixtureSection()
    sft_mixture: MixtureSection = MixtureSection(held_out=HeldOut(share=0))
    """The mixture of the dialogue domains. None are held out: evaluation measures plain documents."""
    augment: tuple[Transform, ...] = ()
    """What is made of a part of pretraining's documents before they are packed, each transform with its share. The
    tokens made this way keep the domain of their documents; every derived document is one attention span."""
    pack: PackSection = PackSection()
    exclude: ExclusionSection = ExclusionSection()
    pretrain: PretrainSection | None = None
    sft: SftSection | None = None
    evaluation: EvaluationSection = EvaluationSection()
    ladder: LadderSection | None = None
    """Several lengths in turn, for ``lc-data climb``; all other commands train the recipe as it stands."""
    engine: EngineSection = EngineSection()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Recipe:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"sources: the name {twice[0]!r} is used more than once; give each source its own")
        return self

    @model_validator(mode="after")
    def _domains_have_one_purpose(self) -> Recipe:
        for domain in sorted({source.domain for source in self.sources}):
            purposes = {source.purpose for source in self.sources if source.domain == domain}
            if len(purposes) > 1:
                raise ValueError(
                    f"sources: domain {domain!r} holds dialogues and plain documents; give dialogues their own"
                )
        return self

    @model_validator(mode="after")
    def _mixtures_name_known_domains(self) -> Recipe:
        if any(getattr(getattr(source, "fields", None), "domain", None) for source in self.sources):
            return self  # records name their own domains: known only after ingest, checked by balance
        for key, mixture, purpose in (("mixture", self.mixture, "pretrain"), ("sft_mixture", self.sft_mixture, "sft")):
            known = {source.domain for source in self.sources if source.purpose == purpose}
            for place, domain in mixture.named_domains():
                if domain not in known:
                    raise ValueError(
                        f"{key}.{place}: no {purpose} source has the domain {domain!r}{nearest(domain, known)}"
                    )
        return self

    @model_validator(mode="after")
    def _lengths_begin_at_buckets(self) -> Recipe:
        edges = self.bucket.edges_tokens
        for key, mixture in (("mixture", self.mixture), ("sft_mixture", self.sft_mixture)):
            for place, length in mixture.named_lengths():
                if length not in edges:
                    raise ValueError(f"{key}.{place} is {length}, which is none of bucket.edges_tokens {list(edges)}")
        return self

    @model_validator(mode="after")
    def _mixtures_read_known_columns(self) -> Recipe:
        for key, mixture in (("mixture", self.mixture), ("sft_mixture", self.sft_mixture)):
            for column in mixture.columns:
                if column not in self.bucket.columns:
                    raise ValueError(
                        f"{key}: where and prefer read the column {column!r}, which bucket.columns "
                        f"{list(self.bucket.columns)} does not keep: add it there"
                    )
        return self

    @model_validator(mode="after")
    def _transforms_fit_the_packing(self) -> Recipe:
        check_transforms(self.augment, self.pack.method, self.pack.keep is not None)
        return self

    @model_validator(mode="after")
    def _batches_are_whole_rows(self) -> Recipe:
        for key, section in (("pretrain", self.pretrain), ("sft", self.sft)):
            streams = max(1, section.processes // section.context_parallel) if section else 1
            row = self.pack.seq_len * streams
            if section is not None and section.batch_tokens % row:
                fit = max(1, section.batch_tokens // row) * row
                raise ValueError(
                    f"{key}.batch_tokens is {section.batch_tokens}; it must be a multiple of pack.seq_len "
                    f"({self.pack.seq_len}) x {key}.processes ({section.processes}) = {row}: for example {fit}"
                )
        return self

    def domains(self, purpose: str) -> list[str]:
        """The domains that sources declare for ``pretrain`` or ``sft``, sorted."""
        return sorted({source.domain for source in self.sources if source.purpose == purpose})
