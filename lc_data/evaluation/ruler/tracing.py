"""Variable tracking: which names hold a value after several assignments, hidden in noise."""

from __future__ import annotations

import random
from itertools import pairwise

from lc_data.evaluation.haystack import Haystack
from lc_data.evaluation.ruler.retrieval import Riddle
from lc_data.evaluation.ruler.words import draw_names

HOPS = 4


def hide_chain(noise: Haystack, source: random.Random) -> Riddle:
    """One chain of four hops: a value, a name that gets it, and four names that get it from the one before."""
    names, value = draw_names(HOPS + 1, source), str(source.randrange(10_000, 100_000))
    lines = [f"VAR {names[0]} = {value}", *(f"VAR {name} = VAR {before}" for before, name in pairwise(names))]
    depths = sorted(source.uniform(0, 100) for _ in lines)

    def build(size: int, padding: str) -> str:
        text = noise.hide(size, lines, depths) + padding
        return (
            "In the text below variables are set to numbers and to one another. Follow what each of them holds.\n\n"
            f"{text}\n\nWhich variables hold {value} in the end? There are {HOPS + 1}.\n"
            f"Answer: The variables that hold {value} are"
        )

    return Riddle(build, tuple(names), 1.0)
