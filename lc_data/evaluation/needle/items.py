"""The items of NeedleBench's tasks, each with exactly the tokens that its length says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lc_data.corpus.fingerprint import child_seed
from lc_data.evaluation.haystack import Haystack, Language, fill
from lc_data.evaluation.needle.grid import draws, grid_lengths
from lc_data.evaluation.needle.wording import (
    AncestryWording,
    HandoverWording,
    KeyWording,
    draw_people,
    draw_places,
    draw_things,
)
from lc_data.evaluation.suite import Item, Source
from lc_data.failure import Failure

_SINGLE_ANSWER = 50
_PARALLEL_ANSWER = 24
"""Tokens for each of the answers."""
_REASONING_ANSWER = 50
_ANCESTRY_ANSWER = 1024
_SPREAD = 10.0
"""Percent of the text between two needles that lead to one answer."""
_DRAWS = 50


def single_items(task: str, language: Language, source: Source) -> Iterator[Item]:
    """One needle at each depth of each length."""
    wording = KeyWording(language)
    for draw in draws(task, language, source):
        place, thing = draw_places(language, 1, draw.random)[0], _absent(language, draw.haystack, 1, draw.random)[0]
        sentence = wording.sentence(place, thing)
        for length in grid_lengths(source):
            for depth in source.needle.depths:

                def ask(text: str, place: str = place) -> str:
                    return wording.single(text, place, source.needle.lead_in)

                yield Item(
                    id=f"{draw.repeat}-{length}-{depth:g}",
                    question=partial(_prompt, ask, draw.haystack, [sentence], [depth], source, length - _SINGLE_ANSWER),
                    shortest=partial(_bare, ask, [sentence]),
                    answers=(thing,),
                    max_new_tokens=_SINGLE_ANSWER,
                    facts={"length_tokens": length, "depth": depth, "needle": sentence},
                )


def parallel_items(task: str, language: Language, source: Source) -> Iterator[Item]:
    """A needle at every depth of one text, all of them asked for."""
    wording, depths = KeyWording(language), source.needle.depths
    for draw in draws(task, language, source):
        places = draw_places(language, len(depths), draw.random)
        things = _absent(language, draw.haystack, len(depths), draw.random)
        sentences = [wording.sentence(place, thing) for place, thing in zip(places, things, strict=True)]
        asked = draw.random.sample(places, len(places))
        answer = _PARALLEL_ANSWER * len(depths)

        def ask(text: str, asked: Sequence[str] = asked) -> str:
            return wording.parallel(text, asked)

        for length in grid_lengths(source):
            yield Item(
                id=f"{draw.repeat}-{length}",
                question=partial(_prompt, ask, draw.haystack, sentences, depths, source, length - answer),
                shortest=partial(_bare, ask, sentences),
                answers=tuple(things),
                max_new_tokens=answer,
                facts={"length_tokens": length, "depths": list(depths)},
            )


def reasoning_items(task: str, language: Language, source: Source) -> Iterator[Item]:
    """Several needles, of which each takes up where the one before ended."""
    wording, count = HandoverWording(language), int(task.split("_")[2])
    for draw in draws(task, language, source):
        people, thing = draw_people(language, count + 1, draw.random), draw_things(language, 1, draw.random)[0]
        sentences = [wording.sentence(thing, people[i], people[i + 1]) for i in range(count)]

        def ask(text: str, thing: str = thing, first: str = people[0]) -> str:
            return wording.prompt(text, thing, first)

        for length in grid_lengths(source):
            for depth in source.needle.depths:
                depths = [min(depth + _SPREAD * place, 100.0) for place in range(count)]
                yield Item(
                    id=f"{draw.repeat}-{length}-{depth:g}",
                    question=partial(
                        _prompt, ask, draw.haystack, sentences, depths, source, length - _REASONING_ANSWER
                    ),
                    shortest=partial(_bare, ask, sentences),
                    answers=(people[-1],),
                    max_new_tokens=_REASONING_ANSWER,
                    facts={"length_tokens": length, "depth": depth},
                )


def ancestry_items(task: str, language: Language, source: Source) -> Iterator[Item]:
    """Chains of parents told out of order; those that do not fit are left out."""
    wording = AncestryWording(language)
    answer = min(_ANCESTRY_ANSWER, source.max_seq_len // 2)
    for repeat in range(source.needle.repeats):
        for count in source.needle.links:
            draw = random.Random(child_seed(source.seed, "needle", task, repeat, count))
            people = draw_people(language, count + 1, draw)
            links = [wording.sentence(people[i], people[i + 1], draw.randrange(4)) for i in range(count)]
            draw.shuffle(links)
            prompt = wording.prompt(links, people[-1])
            if source.length_of(prompt) + answer <= source.max_seq_len:
                yield Item(
                    id=f"{repeat}-{count}",
                    question=prompt,
                    answers=(people[0],),
                    max_new_tokens=answer,
                    facts={"links": count},
                )


def _prompt(
    ask: Callable[[str], str],
    haystack: Haystack,
    needles: Sequence[str],
    depths: Sequence[float],
    source: Source,
    budget: int,
) -> str:
    """The prompt around as much of a haystack as its budget allows."""
    guess = budget - source.length_of(_bare(ask, needles))

    def build(size: int, padding: str) -> str:
        return ask(haystack.hide(size, needles, depths) + padding)

    return fill(build, source.length_of, budget, guess)


def _bare(ask: Callable[[str], str], needles: Sequence[str]) -> str:
    """The prompt around nothing but the needles."""
    return ask("".join(f"\n{needle}\n" for needle in needles))


def _absent(language: Language, haystack: Haystack, count: int, source: random.Random) -> list[str]:
    """Things that the text does not mention, so that nothing but the needle gives the answer."""
    for _ in range(_DRAWS):
        things = draw_things(language, count, source)
        if not any(thing in haystack.text for thing in things):
            return things
    raise Failure("every thing that a needle could name is in the texts to hide it in: name other haystacks")
