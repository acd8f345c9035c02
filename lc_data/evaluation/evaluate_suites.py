"""A checkpoint put to suites of tasks: predictions and scores in one folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.evaluation.answering import Asking, Model, answer_suite, has_settings, keep_settings
from lc_data.evaluation.averages import mean
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.generation import Generator, GreedyGenerator
from lc_data.evaluation.haystack import LANGUAGES, language_of, read_texts
from lc_data.evaluation.lm_eval import write_lm_eval
from lc_data.evaluation.room import check_room
from lc_data.evaluation.score import Scores, score_folder
from lc_data.evaluation.suite import ScoreOptions, Source, Suite, score_options
from lc_data.evaluation.suites import HIDING, SUITES, suites_named
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.evaluation import SuitesSection
from lc_data.training.job import held_out_documents
from lc_data.training.load import load_model, rope_override
from lc_data.training.weights import weights_fingerprint

_SHORTEST_HAY = 512
_MOST_HAY = 200


@dataclass(frozen=True)
class SuitesResult:
    """What was asked and what came of it."""

    asked: int
    """Answers that had to be made now."""
    scores: Scores
    changed: bool = True
    """Whether ``result.json`` is another one than before."""

    @property
    def summary(self) -> str:
        """One line for people: the average of each suite, and of how many tasks."""
        return ", ".join(
            f"{score.suite} {mean(list(score.tasks.values())):.2f} over {len(score.tasks)} tasks"
            for score in self.scores.suites
            if score.tasks
        )


def evaluate_suites(
    checkpoint: str | Path,
    section: SuitesSection,
    out: str | None = None,
    run_uri: str | None = None,
    name: str | None = None,
    put_aside: bool = False,
) -> SuitesResult:
    """Answer the suites of a section and score the answers.

    What is answered already is not asked again; the model is opened only where something is left to ask.

    Args:
        checkpoint: a folder in Hugging Face format with ``tokenizer.json``.
        section: what is asked, and how.
        out: gets ``<suite>/<task>.jsonl``, ``<suite>/settings.json`` and ``result.json``; None takes
            ``RUN/evaluate/<name>``.
        run_uri: the run whose tokens stand around documents and whose held-out documents are haystacks.
        name: of the result in a run; None takes the checkpoint's folder, or the one above ``export``.
        put_aside: what becomes of answers that were made with other weights or settings: they are moved aside, or
            else refused.

    Raises:
        RecipeError: where an argument or the data is wrong, before the model is opened.

    """
    folder = Path(checkpoint)
    place = _place(folder, out, run_uri, name)
    asked_for = _prepare(folder, section, run_uri)
    suites, source, tokens = asked_for.suites, asked_for.source, asked_for.tokens
    settings = {suite.name: _settings(folder, section, suite, asked_for) for suite in suites}
    for suite in suites:
        keep_settings(place / suite.name / "settings.json", settings[suite.name], put_aside)
    _clear_of_others(place, suites, weights_fingerprint(folder), put_aside)
    model = Model(tokens, cache(lambda: _open(folder, section)))
    asking = Asking(section.truncate)
    asked = sum(answer_suite(suite, source, model, place / suite.name, asking) for suite in suites)
    result = place / "result.json"
    before = result.read_bytes() if result.is_file() else None
    scores = score_folder(place, _options(section))
    return SuitesResult(asked, scores, result.read_bytes() != before)


def check_suites(section: SuitesSection) -> None:
    """Raise ``RecipeError`` for what is wrong with a section whatever the model: before one is trained."""
    suites = suites_named(section.names)
    rope_override(section.rope)
    source = Source(
        data=None if section.data is None else Path(section.data),
        tokens=_NoTokens(),
        max_seq_len=section.max_seq_len or sys.maxsize,
        haystacks=_by_language(read_texts([Path(path) for path in section.haystacks]) or ["held-out documents"]),
        needle=section.needle,
        ruler=section.ruler,
        longbench_protocol=_options(section).longbench_protocol,
    )
    for suite in suites:
        suite.present(source)
        suite.identity(source)


class _NoTokens:
    """The tokens of a model that is not there yet: what is checked before it is there measures no text."""

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    encode_prompt = starts = encode


def export_suites(checkpoint: str | Path, section: SuitesSection, out: str, run_uri: str | None = None) -> list[str]:
    """Write the suites of a section as tasks of lm-evaluation-harness instead of asking a model; their names.

    Lengths are in the tokens of the checkpoint. See :mod:`lc_data.evaluation.lm_eval`.
    """
    asked_for = _prepare(Path(checkpoint), section, run_uri)
    return write_lm_eval(asked_for.suites, asked_for.source, asked_for.tokens, Path(out), section.truncate)


@dataclass(frozen=True)
class _Prepared:
    """What a section asks for, checked."""

    suites: list[Suite]
    source: Source
    tokens: CheckpointTokens
    bos: str | None
    eos: str | None


def _prepare(folder: Path, section: SuitesSection, run_uri: str | None) -> _Prepared:
    suites = suites_named(section.names)
    rope_override(section.rope)
    bos, eos = _ends(section, run_uri)
    tokens = CheckpointTokens(folder, bos, eos)
    source = Source(
        data=None if section.data is None else Path(section.data),
        tokens=tokens,
        max_seq_len=section.max_seq_len or _reach(folder),
        seed=section.seed,
        limit=section.limit,
        haystacks=_haystacks(section, run_uri, tokens),
        chat_format=section.chat_format,
        needle=section.needle,
        ruler=section.ruler,
        longbench_protocol=_options(section).longbench_protocol,
    )
    check_room(suites, source)
    return _Prepared(suites, source, tokens, bos, eos)


def _clear_of_others(place: Path, asked: Sequence[Suite], checkpoint: str, put_aside: bool) -> None:
    """Answers of another checkpoint to suites that are not asked for would be scored beside this one's."""
    for suite in SUITES.values():
        path = place / suite.name / "settings.json"
        if suite not in asked and path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            has_settings(path, {**kept, "checkpoint": checkpoint}, put_aside)


def _options(section: SuitesSection) -> ScoreOptions:
    return score_options(section.protocol, section.code_similarity, section.missing_as_zero)


def _place(checkpoint: Path, out: str | None, run_uri: str | None, name: str | None) -> Path:
    if out is not None:
        return Path(out)
    if run_uri is None:
        raise RecipeError("--suite needs --out DIR, where answers and scores go, or --run RUN, which has a place")
    if not storage.is_local(run_uri):
        raise RecipeError(f"--suite writes answers as they come, so {run_uri} is no place for them: give --out DIR")
    label = name or (checkpoint.parent.name if checkpoint.name == "export" else checkpoint.name)
    return storage.local_path(RunFolder(run_uri).stage("evaluate").file(label))


def _reach(checkpoint: Path) -> int:
    """Tokens that a checkpoint says it can read."""
    path = checkpoint / "config.json"
    reach = json.loads(path.read_text(encoding="utf-8")).get("max_position_embeddings") if path.is_file() else None
    if not isinstance(reach, int):
        raise RecipeError(f"{path} does not say max_position_embeddings: give --max-seq-len")
    return reach


def _haystacks(section: SuitesSection, run_uri: str | None, tokens: CheckpointTokens) -> dict[str, tuple[str, ...]]:
    """The texts that the user names, or the run's held-out documents, by language."""
    if section.haystacks:
        texts = read_texts([Path(path) for path in section.haystacks])
    elif run_uri is not None and HIDING & set(section.names):
        documents = held_out_documents(run_uri)(_SHORTEST_HAY, _MOST_HAY)
        texts = [tokens.decode(document.tolist()) for document in documents]
        if not texts:
            raise RecipeError(
                f"{run_uri} holds out no document of {_SHORTEST_HAY} tokens to hide needles in: name --haystack FILE"
            )
    else:
        texts = []
    return _by_language(texts)


def _by_language(texts: list[str]) -> dict[str, tuple[str, ...]]:
    found = {language: tuple(text for text in texts if language_of(text) == language) for language in LANGUAGES}
    return {language: own for language, own in found.items() if own}


def _open(checkpoint: Path, section: SuitesSection) -> Generator:
    return GreedyGenerator(load_model(checkpoint, section.impl, section.dtype, section.rope))


def _settings(checkpoint: Path, section: SuitesSection, suite: Suite, asked_for: _Prepared) -> dict[str, Any]:
    """What decides the answers of a suite."""
    return {
        "checkpoint": weights_fingerprint(checkpoint),
        "max_seq_len": asked_for.source.max_seq_len,
        "truncate": section.truncate,
        "rope": section.rope,
        "impl": section.impl,
        "chat_format": section.chat_format,
        "bos": asked_for.bos,
        "eos": asked_for.eos,
        **suite.identity(asked_for.source),
    }


def _ends(section: SuitesSection, run_uri: str | None) -> tuple[str | None, str | None]:
    """The tokens before a prompt and after an answer, the run's own where the section leaves them open."""
    if run_uri is None:
        return section.bos, section.eos
    bucket = RunFolder(run_uri).stage("bucket")
    facts = bucket.manifest().facts["tokenizer"]
    names = Tokenizer.from_buffer(storage.read_bytes(bucket.file(facts["file"])))
    bos, eos = (None if facts[key] is None else names.id_to_token(facts[key]) for key in ("bos_id", "eos_id"))
    return section.bos or bos, section.eos or eos
