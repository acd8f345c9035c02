"""What a suite of tasks is: where its items come from, and how answers to them become scores.

A suite is a frozen object in the registry (``lc_data.evaluation.suites``). Scoring needs only predictions, so it runs
where there is neither torch nor a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

from lc_data.evaluation.metrics.code import Backend
from lc_data.evaluation.prediction import Prediction
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.evaluation import NeedleSection, RulerSection

ScoringProtocol = Literal["official", "opencompass"]
"""Whose rules apply: the benchmark's own, or those of the harness behind the report of Index-1.9B-32K."""


@dataclass(frozen=True)
class Item:
    """One question to a model."""

    id: str
    question: str | Callable[[], str] = field(compare=False, repr=False)
    """The prompt, or what makes it: fitting a long text to a length takes a second, and is left until it is asked."""
    answers: tuple[str, ...]
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Strings that end the answer."""
    labels: tuple[str, ...] = ()
    length: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Kept in the prediction for the metric: depth, keyword, protocol tags."""
    chat: bool = True
    """Whether a chat model's template goes around the prompt; not where a text is to be continued."""
    shortest: Callable[[], str] | None = field(default=None, compare=False, repr=False)
    """Of a prompt that is made to its length (``length_tokens``): the shortest that it can be."""

    @property
    def prompt(self) -> str:
        """The text that is asked, without a chat model's template."""
        return self.question if isinstance(self.question, str) else self.question()


class Tokens(Protocol):
    """A model's own tokens, which lengths are measured in."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        ...

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a whole prompt, with what stands before one."""
        ...

    def starts(self, text: str) -> list[int]:
        """The character at which each token of a text begins."""
        ...


@dataclass(frozen=True)
class Source:
    """Where the items of an evaluation come from."""

    data: Path | None
    """The folder that the user names."""
    tokens: Tokens
    max_seq_len: int
    """Tokens of prompt and answer together."""
    seed: int = 0
    limit: int | None = None
    """Items of each task, at most."""
    haystacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Texts that needles are hidden in, by language."""
    chat_format: str | None = None
    """A text with ``{prompt}`` in it, put around prompts of tasks that a chat model is asked."""
    needle: NeedleSection = field(default_factory=NeedleSection)
    ruler: RulerSection = field(default_factory=RulerSection)
    longbench_protocol: ScoringProtocol = "official"

    def in_chat(self, prompt: str, chat: bool = True) -> str:
        """What is asked in the end."""
        return self.chat_format.replace("{prompt}", prompt) if self.chat_format and chat else prompt

    def length_of(self, prompt: str) -> int:
        """Tokens of what is asked in the end."""
        return len(self.tokens.encode_prompt(self.in_chat(prompt)))


@dataclass(frozen=True)
class ScoreOptions:
    """Choices that published scores differ in."""

    leval_protocol: ScoringProtocol = "opencompass"
    longbench_protocol: ScoringProtocol = "official"
    code_backend: Backend = "difflib"
    missing_as_zero: bool = False


def score_options(protocol: str | None, code_backend: str | None, missing_as_zero: bool) -> ScoreOptions:
    """The options of these names; raises ``RecipeError`` for one that there is not.

    Args:
        protocol: of LongBench and L-Eval; None is what each is mostly published by: ``official`` and ``opencompass``.
        code_backend: of code similarity; None is the protocol's own: ``difflib`` for ``official``, else
            ``levenshtein``.
        missing_as_zero: see :class:`ScoreOptions`.

    """
    if protocol is not None and protocol not in get_args(ScoringProtocol):
        raise RecipeError(f"--protocol {protocol!r} is none{nearest(protocol, get_args(ScoringProtocol))}")
    if code_backend is not None and code_backend not in get_args(Backend):
        raise RecipeError(f"--code-similarity {code_backend!r} is none{nearest(code_backend, get_args(Backend))}")
    asked = cast("ScoringProtocol | None", protocol)
    backend = cast("Backend", code_backend or ("levenshtein" if protocol == "opencompass" else "difflib"))
    return ScoreOptions(
        leval_protocol=asked or "opencompass",
        longbench_protocol=asked or "official",
        code_backend=backend,
        missing_as_zero=missing_as_zero,
    )


@dataclass(frozen=True)
class SuiteScore:
    """The scores of one suite, from 0 to 100."""

    suite: str
    convention: str
    """How the scores were made, so that they are read beside others of their kind."""
    tasks: dict[str, float]
    predictions: dict[str, int]
    """How many predictions each score comes from."""
    cut: dict[str, int]
    """How many of them had a prompt that was cut to fit."""
    groups: dict[str, float]
    averages: dict[str, float]
    missing: tuple[str, ...]
    """Tasks without predictions. Averages are over the others unless the convention says that they count as 0."""
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)


class Suite(Protocol):
    """A set of tasks with common rules."""

    @property
    def name(self) -> str:
        """What it is called on the command line, and its folder of predictions."""
        ...

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of its tasks: each has a file of predictions."""
        ...

    def present(self, source: Source) -> tuple[str, ...]:
        """The tasks that items can be made for; raises ``RecipeError`` where there are none."""
        ...

    def identity(self, source: Source) -> dict[str, Any]:
        """What of the source decides the prompts, as JSON: answers to other prompts are not added to these."""
        ...

    def items(self, task: str, source: Source) -> Iterator[Item]:
        """The items of a task, always the same and in the same order for the same source."""
        ...

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        """Score the predictions of some or all of the tasks, each at least one."""
        ...


def cut_counts(predictions: Mapping[str, Sequence[Prediction]]) -> dict[str, int]:
    """For each task how many prompts were cut."""
    return {task: sum(bool(row.facts.get("cut_tokens")) for row in rows) for task, rows in predictions.items()}
