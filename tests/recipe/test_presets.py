"""The presets give what was published: number by number, and as realised shares of a plan at their own length."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.forecast.index import Index, publish_index
from lc_data.journey import travel
from lc_data.lengths.buckets import assign_buckets
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import find_recipe, load_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.stages import balance, pack
from lc_data.streaming.dataset import PackedDataset
from tests.lengths.texts import small_tokenizer
from tests.recipe.published import PRESETS, Published
from tests.small_corpus import prose

MOST_ROWS, MOST_TOKENS = 4096, 1_073_741_824
TAGS = re.compile(r"\[(paper|code|report|blog|secondary|ours)\]")
NAMES = sorted({published.recipe or name for name, published in PRESETS.items()})


def load(name: str, *overrides: str) -> Recipe:
    published = PRESETS[name]
    given = ("variables.data=data", "variables.tokenizer=tokenizer.json", *published.overrides, *overrides)
    return load_recipe(published.recipe or name, given)


def at(recipe: Any, key: str) -> Any:
    for part in key.split("."):
        recipe = getattr(recipe, part)
    return recipe


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_is_the_published_one(name):
    recipe = load(name)
    for key, (value, source) in PRESETS[name].numbers.items():
        assert source
        found = at(recipe, key)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), key


@pytest.mark.parametrize("name", PRESETS)
def test_shares_are_the_published_ones_and_sum_to_100(name):
    published, mixture = PRESETS[name], load(name).mixture
    ranges = mixture.lengths.ranges()
    found = mixture.weights or {domain: sum(table.values()) for domain, table in ranges.items()}
    assert found == pytest.approx(published.shares)
    if published.shares:
        assert sum(found.values()) == pytest.approx(published.shares_sum)
        assert sum(found.values()) == pytest.approx(100, abs=0.1)
    for (domain, first, end), share in published.ranges.items():
        assert ranges[domain][first] == share
        assert end is None or end in ranges[domain]
    domains = load(name).domains("pretrain")
    assert {domain: mixture.lengths.long_share_of(domain) for domain in domains} == {
        domain: published.long_share.get(domain) for domain in domains
    }


@pytest.mark.parametrize("name", PRESETS)
def test_a_batch_is_what_rows_are_ordered_in_and_the_budget_feeds_all_steps(name):
    recipe = load(name)
    assert recipe.pretrain is not None
    assert recipe.pack.global_batch_packs * recipe.pack.seq_len <= recipe.pretrain.batch_tokens
    assert recipe.pretrain.batch_tokens % (recipe.pack.global_batch_packs * recipe.pack.seq_len) == 0
    if recipe.pretrain.steps and recipe.mixture.budget_tokens:
        assert recipe.mixture.budget_tokens >= recipe.pretrain.steps * recipe.pretrain.batch_tokens


@pytest.mark.parametrize("name", NAMES)
def test_every_number_says_where_it_comes_from(name):
    bare = [line for line, tagged in numbered_lines(find_recipe(name).read_text(encoding="utf-8")) if not tagged]
    assert not bare


def numbered_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines from ``mixture:`` on that hold a number, and whether they, what they stand under or the comment above has
    a source. How many rows are ordered together follows from the batch."""
    tagged_above: list[tuple[int, bool]] = []
    comment = False
    for line in text[text.index("\nmixture:") :].splitlines():
        content, _, remark = line.partition("#")
        tag = bool(TAGS.search(remark))
        if not content.strip():
            comment = (comment or tag) if remark else False
            continue
        indent = len(content) - len(content.lstrip())
        tagged_above = [entry for entry in tagged_above if entry[0] < indent]
        tagged = tag or comment or any(known for _, known in tagged_above)
        tagged_above.append((indent, tagged))
        comment = False
        if re.search(r"[:{,\[]\s*\d", re.sub(r"global_batch_packs: \d+", "", content)):
            yield line, tagged


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_variable_is_one_error_that_names_all_and_the_folders(name):
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    said = str(caught.value)
    assert "-o variables.data=VALUE" in said
    assert "-o variables.tokenizer=VALUE" in said
    recipe = load_recipe(name, ["variables.data=data", "variables.tokenizer=t"])
    paths = {path for source in recipe.sources for path in source.paths}
    for domain in recipe.domains("pretrain") if paths != {"data"} else ():
        assert f"data/{domain}" in paths
        assert domain in recipe.description
        assert f"${{data}}/{domain}" in said


@pytest.mark.parametrize("format_", ["jsonl", "parquet", "arrow", "text"])
def test_the_format_is_a_variable(format_):
    recipe = load("smollm3_long", f"variables.format={format_}")
    assert {source.kind for source in recipe.sources} == {format_}


def test_a_missing_model_is_said_before_any_work(tmp_path):
    run = RunFolder(str(tmp_path / "run"))
    with pytest.raises(RecipeError, match=r"pretrain\.model\.path is 'model', where .* --to pack"):
        list(travel(load("smollm3_long"), run, "report"))
    assert not Path(run.uri).exists()


@pytest.mark.parametrize("name", PRESETS)
def test_a_plan_has_the_published_shares(name, tmp_path):
    published, recipe = PRESETS[name], load(name)
    budget = min(MOST_ROWS * recipe.pack.seq_len, MOST_TOKENS)
    recipe = load(name, f"mixture.budget_tokens={budget}")
    run = RunFolder(str(tmp_path))
    publish_supply(run, recipe, published, budget)
    bring_up_to_date(balance.STAGE, recipe, run, SerialBackend())
    bring_up_to_date(pack.STAGE, recipe, run, SerialBackend())
    plan = run.stage("pack").manifest().facts["plans"]["pretrain"]
    assert plan["seq_len"] == dict(published.numbers)["pack.seq_len"][0]
    [stage] = plan["stages"]
    total = stage["tokens"]
    assert total == pytest.approx(budget, rel=0.002)
    assert plan["packs"] <= MOST_ROWS + 1
    wanted = sum(published.shares.values())
    for domain, share in published.shares.items():
        assert 100 * stage["tokens_by_domain"][domain] / total == pytest.approx(100 * share / wanted, abs=0.1)
    edges = (0, *recipe.bucket.edges_tokens)
    strata = {domain: np.array(row) for domain, row in stage["tokens_by_domain_bucket"].items()}
    for (domain, first, end), share in published.ranges.items():
        inside = [first <= edge and (end is None or edge < end) for edge in edges]
        assert 100 * strata[domain][inside].sum() / total == pytest.approx(100 * share / wanted, abs=1)
    threshold = recipe.mixture.lengths.threshold_tokens
    for domain, share in published.long_share.items():
        long = [edge >= threshold for edge in edges]
        assert strata[domain][long].sum() / strata[domain].sum() == pytest.approx(share, abs=0.01)


def publish_supply(run: RunFolder, recipe: Recipe, published: Published, budget: int) -> None:
    """An index with a third more of everything than is wanted, and twice as much that is short."""
    rng = np.random.default_rng(7)
    domains = recipe.domains("pretrain")
    shares = published.shares or dict.fromkeys(domains, 100 / len(domains))
    lengths, codes = [], []
    for code, domain in enumerate(domains):
        for first, end, share in wanted_ranges(recipe, published, domain, shares[domain]):
            drawn = draw_lengths(rng, max(first, 64), end, 1.3 * budget * share / 100)
            lengths.append(drawn)
            codes.append(np.full(len(drawn), code, np.uint16))
    length, domain = np.concatenate(lengths), np.concatenate(codes)
    bucket = assign_buckets(length, recipe.bucket.edges_tokens)
    order = np.lexsort([bucket, domain])
    tokenizer = {"name": "t", "file": "t", "hash": "0", "vocab_size": 9, "bos_id": None, "eos_id": 1, "pad_id": 1}
    facts = {
        "domains": domains,
        "purposes": dict.fromkeys(domains, "pretrain"),
        "edges_tokens": list(recipe.bucket.edges_tokens),
        "tokenizer": tokenizer,
    }
    publish_index(run, Index(length[order], domain[order], bucket[order], {}), facts)


def wanted_ranges(recipe: Recipe, published: Published, domain: str, share: float) -> list[tuple[int, int, float]]:
    """(first length, end, percent of the budget) of what a domain is to have."""
    if domain in published.long_share:
        threshold, part = recipe.mixture.lengths.threshold_tokens, published.long_share[domain]
        return [(threshold, 4 * threshold, share * part), (0, threshold, 2 * share)]
    ranges = [
        (first, end or 2 * first, part) for (name, first, end), part in published.ranges.items() if name == domain
    ]
    return ranges or [(0, 2 * recipe.pack.seq_len, share)]


def draw_lengths(rng: np.random.Generator, first: int, end: int, tokens: float) -> np.ndarray:
    """Lengths from ``first`` to ``end``, their logarithms uniform, that sum to at least ``tokens``."""
    count = 64 + int(1.2 * tokens / ((end - first) / np.log(end / first)))
    drawn = np.exp(rng.uniform(np.log(first), np.log(end), count)).astype(np.uint32)
    drawn = np.clip(drawn, first, end - 1)
    return drawn[: 1 + int(np.searchsorted(np.cumsum(drawn, dtype=np.int64), tokens))]


def test_a_preset_runs_from_json_lines_to_packs(tmp_path):
    rng = random.Random(3)
    for domain, documents in (("short", 60), ("reasoning", 30)):
        (tmp_path / "data" / domain).mkdir(parents=True)
        lines = [json.dumps({"text": prose(rng, rng.choice([300, 2000]))}) for _ in range(documents)]
        (tmp_path / "data" / domain / "part.jsonl").write_text("\n".join(lines))
    (tmp_path / "tokenizer.json").write_text(small_tokenizer())
    overrides = [f"variables.data={tmp_path / 'data'}", f"variables.tokenizer={tmp_path / 'tokenizer.json'}"]
    overrides += ["tokenizer.eos=<|endoftext|>", "mixture.budget_tokens=300000", "engine.backend=serial"]
    recipe, run = load_recipe("smollm3_long_32k", overrides), RunFolder(str(tmp_path / "run"))
    steps = list(travel(recipe, run, "pack"))
    assert [step.name for step in steps][-1] == "pack"
    plan = run.stage("pack").manifest().facts["plans"]["pretrain"]
    assert plan["tokens_by_domain"]["short"] / plan["tokens"] == pytest.approx(0.9, abs=0.01)
    rows = list(PackedDataset(run.uri))
    assert len(rows) == plan["packs"]
    assert {row["input_ids"].shape for row in rows} == {(32768,)}
