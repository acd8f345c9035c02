"""Verification: everything that a run claims, read again and compared with what is there.

Disks rot, copies stop halfway, people edit. Every file is hashed and every row counted again, so a verification costs
about two readings of the run; whoever is content with less can compare the checksums in the manifests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lc_data.corpus import storage
from lc_data.corpus.manifest import Manifest, ManifestError
from lc_data.corpus.run import OPTIONAL_STAGES, STAGES, RunFolder
from lc_data.corpus.verify_derived import verify_derived
from lc_data.corpus.verify_files import verify_files
from lc_data.corpus.verify_plan import verify_plans
from lc_data.corpus.verify_tokens import verify_tokens


@dataclass(frozen=True)
class Finding:
    """Something in a run that is not as its manifests say."""

    stage: str
    """Empty where the finding is about the run as a whole."""
    file: str
    """Below the stage's folder; empty where the finding is about the stage as a whole."""
    problem: str

    def __str__(self) -> str:
        place = "/".join(part for part in (self.stage, self.file) if part)
        return f"{place or 'run'}: {self.problem}"


def verify_run(run_uri: str) -> list[Finding]:
    """Everything that is wrong with a run, in the order of its stages; an empty list when nothing is.

    A run that has not been taken to its end is verified as far as it goes.
    """
    return list(_verify(RunFolder(run_uri)))


def _verify(run: RunFolder) -> Iterator[Finding]:
    published = [name for name in STAGES if run.stage(name).is_published()]
    if not published:
        yield Finding("", "", f"{run.uri} holds no published stage")
        return
    if not storage.exists(run.recipe_uri):
        yield Finding("", "recipe.yaml", "the run's resolved recipe is missing")
    manifests: dict[str, Manifest] = {}
    for name in STAGES:
        expected = name not in OPTIONAL_STAGES and STAGES.index(name) < STAGES.index(published[-1])
        if name not in published and not expected:
            yield from _verify_unpublished(run, name)
            continue
        try:
            manifests[name] = run.stage(name).manifest()
        except ManifestError as error:
            yield Finding(name, "manifest.json", str(error))
    whole = set()
    for name, manifest in manifests.items():
        found = list(_verify_stage(run, name, manifest, manifests))
        yield from found
        if not found:
            whole.add(name)
    yield from _verify_contents(run, whole, "augment" in manifests)


def _verify_contents(run: RunFolder, whole: set[str], is_augmented: bool) -> Iterator[Finding]:
    """What stands inside the files is compared only where the files are those of the manifests."""
    if "bucket" in whole:
        yield from (Finding("bucket", file, problem) for file, problem in verify_tokens(run))
    if {"bucket", "augment"} <= whole:
        yield from (Finding("augment", file, problem) for file, problem in verify_derived(run))
    if {"bucket", "pack"} <= whole and ("augment" in whole or not is_augmented):
        yield from (Finding("pack", file, problem) for file, problem in verify_plans(run))


def _verify_unpublished(run: RunFolder, name: str) -> Iterator[Finding]:
    folder = run.stage(name)
    if storage.exists(folder.tasks_uri) or storage.list_files(folder.file("shards")):
        yield Finding(name, "", "was begun and not finished: the command that began it goes on")


def _verify_stage(run: RunFolder, name: str, manifest: Manifest, manifests: dict[str, Manifest]) -> Iterator[Finding]:
    if manifest.stage != name:
        yield Finding(name, "manifest.json", f"is the manifest of the stage {manifest.stage!r}")
        return
    yield from (Finding(name, file, problem) for file, problem in verify_files(run.stage(name), manifest))
    yield from (Finding(name, "manifest.json", problem) for problem in _verify_chain(manifest, manifests))


def _verify_chain(manifest: Manifest, manifests: dict[str, Manifest]) -> Iterator[str]:
    """A stage was made from the stages that are there, and begins with what the first of them passed on."""
    for place, (name, mark) in enumerate(manifest.upstream.items()):
        upstream = manifests.get(name)
        if upstream is None:
            continue  # it could not be read, which is a finding of its own
        if upstream.fingerprint != mark:
            yield f"was made from {name} {mark}, and {name} is now {upstream.fingerprint}: run the recipe again"
        elif place == 0:
            before, now = upstream.ledger.kept(), manifest.ledger.received()
            # Bytes end at bucket and tokens begin there: a unit that one side does not count is not compared.
            pairs = [(getattr(before, unit), getattr(now, unit)) for unit in ("bytes", "tokens")]
            if before.documents != now.documents or any(a and b and a != b for a, b in pairs):
                yield f"{name} passed on {before}, and {now} came in"
