"""The whole report of a run, as far as the run has come."""

from __future__ import annotations

import yaml

from lc_data.corpus import storage
from lc_data.corpus.manifest import Manifest, ManifestError
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.reports.collect.files import stage_files
from lc_data.reports.collect.findings import read_clusters, read_shared_stretches
from lc_data.reports.collect.lengths import measure_lengths
from lc_data.reports.collect.plans import measure_plan
from lc_data.reports.collect.stages import count_values, published_manifests, stage_books
from lc_data.reports.collect.suites import read_suites
from lc_data.reports.collect.training import read_evaluations, read_trainings
from lc_data.reports.content import PlanContent, Report, StageBooks, Tokenizer, Transformed

PLAN_ORDER = ("pretrain", "sft", "held_out")


def collect_report(run: RunFolder) -> Report:
    """Measure a run. Raises ``ManifestError`` when not even its first stage has been run."""
    manifests = published_manifests(run)
    if not manifests:
        raise ManifestError(f"{run.uri} holds no published stage: run a recipe with --out {run.uri} first")
    last = list(manifests.values())[-1]
    recipe = yaml.safe_load(storage.read_bytes(run.recipe_uri))
    stages = [stage_books(run.stage(name), manifest) for name, manifest in manifests.items()]
    corpus = TokenizedCorpus.open(run) if "bucket" in manifests else None
    kept = next(manifests[name] for name in ("dedupe", "filter", "ingest") if name in manifests)
    return Report(
        name=recipe["name"],
        description=recipe["description"],
        package_version=last.package_version,
        seed=last.seed,
        domains=_by_size(stages),
        licenses=count_values(run.stage(kept.stage), kept.shards, "license"),
        languages=count_values(run.stage(kept.stage), kept.shards, "language"),
        tokenizer=_tokenizer(corpus) if corpus else None,
        stages=stages,
        files=[files for name, manifest in manifests.items() for files in stage_files(run.stage(name), manifest)],
        duplicates=read_clusters(run),
        shared_stretches=read_shared_stretches(run),
        lengths=measure_lengths(corpus) if corpus else None,
        plans=_plans(run, manifests, corpus) if corpus else [],
        transforms=_transforms(manifests),
        trainings=read_trainings(run),
        evaluations=read_evaluations(run),
        suites=read_suites(run),
        recipe=recipe,
    )


def _by_size(stages: list[StageBooks]) -> list[str]:
    """Domains by the text that was read of them, most first: the order of every chart."""
    first = stages[0].domains
    return sorted(first, key=lambda domain: (-first[domain].came_in.bytes, domain))


def _tokenizer(corpus: TokenizedCorpus) -> Tokenizer:
    made_by = corpus.tokenizer
    return Tokenizer(name=made_by.name, hash=made_by.hash, vocab_size=made_by.vocab_size)


def _transforms(manifests: dict[str, Manifest]) -> list[Transformed]:
    """What the stage augment says of its transforms, all domains together."""
    if "augment" not in manifests:
        return []
    described = manifests["augment"].facts["transforms"]
    return [Transformed.model_validate({key: one[key] for key in Transformed.model_fields}) for one in described]


def _plans(run: RunFolder, manifests: dict[str, Manifest], corpus: TokenizedCorpus) -> list[PlanContent]:
    """The plans of a run that has been packed."""
    if "pack" not in manifests:
        return []
    plans = manifests["pack"].facts["plans"]
    asked = manifests["balance"].facts["purposes"]
    folder = run.stage("pack")
    return [
        measure_plan(purpose, folder, plans[purpose], asked.get(purpose, {}), corpus)
        for purpose in sorted(plans, key=PLAN_ORDER.index)
    ]
