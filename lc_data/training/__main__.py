"""``torchrun -m lc_data.training pretrain|sft RUN``: one process of a training on a run that has been packed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import parse_recipe
from lc_data.training.launch import training_job
from lc_data.training.loop import train


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns 0 when done, 1 when it failed, 2 for a wrong recipe, 75 when a signal stopped it and it saved."""
    parser = argparse.ArgumentParser(prog="python -m lc_data.training", description=__doc__)
    parser.add_argument("kind", choices=("pretrain", "sft"))
    parser.add_argument("run", help="path of the run")
    parser.add_argument("--recipe", help="recipe file; the run's own recipe.yaml unless given")
    options = parser.parse_args(arguments)
    uri = options.recipe or RunFolder(options.run).recipe_uri
    try:
        train(training_job(options.kind, options.run, parse_recipe(storage.read_bytes(uri).decode(), where=uri)))
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 2
    except Failure as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
