"""One document of 100 MB through the whole chain, in bounded memory and whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from tests.small_corpus import prose, small_recipe_text, write_small_corpus

MAX_RSS_BYTES = 3 << 30

_RUN_AND_MEASURE = """
import atexit, resource, sys
from lc_data import cli
atexit.register(lambda: print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
sys.argv = ["lc-data", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_document_of_100_mb_goes_through_whole(tmp_path: Path) -> None:
    write_small_corpus(tmp_path / "corpus")
    rng = random.Random(3)
    text = "\n".join(prose(rng, 2000) for _ in range(1000))
    text *= -(-100_000_000 // len(text))
    with (tmp_path / "corpus" / "books.jsonl").open("a") as file:
        file.write(json.dumps({"id": "giant", "text": text}) + "\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small_recipe_text(tmp_path / "corpus"))
    command = [sys.executable, "-c", _RUN_AND_MEASURE, "run", str(recipe), "--out", str(tmp_path / "run")]
    # Without weights everything is taken once, the giant in pieces of a row each.
    command += ["--to", "pack", "-o", "mixture={held_out: {share: 0}}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(printed.split("PEAK")[1]) < MAX_RSS_BYTES
    run = RunFolder(str(tmp_path / "run"))
    longest = run.stage("bucket").manifest().facts["longest_document"]
    assert longest["id"] == "giant"
    plan = run.stage("pack").manifest()
    assert plan.ledger.domains["books"].kept.tokens > longest["tokens"] > 20_000_000
