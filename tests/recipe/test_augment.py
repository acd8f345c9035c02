"""The preset of Untie the Knots gives what was published, and its knots are tokens that its tokenizer can have."""

from __future__ import annotations

import json

import pytest

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import load_recipe
from lc_data.stages import augment
from tests.recipe.test_presets import numbered_lines

_QWEN = ("<|endoftext|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|quad_start|>", "<|quad_end|>")


def test_numbers_are_the_published_ones():
    recipe = load_recipe("utk_32k", ["variables.data=data", "variables.tokenizer=t.json"])
    [transform] = recipe.augment
    assert (transform.name, transform.share, transform.chunks) == ("untie_knots", 0.8, (2, 3))
    assert recipe.pretrain is not None
    assert recipe.pretrain.model.rope_base == 5e6
    assert recipe.mixture.budget_tokens == 10**9
    assert recipe.pack.seq_len == 32768
    assert recipe.pretrain.batch_tokens % (recipe.pack.global_batch_packs * recipe.pack.seq_len) == 0


def test_every_number_says_where_it_comes_from():
    from lc_data.recipe.load import find_recipe

    text = find_recipe("utk_32k").read_text(encoding="utf-8")
    assert not [line for line, tagged in numbered_lines(text) if not tagged]


def test_its_knots_are_looked_for_before_any_work(tmp_path):
    file = tmp_path / "tokenizer.json"
    vocabulary = {str(digit): digit for digit in range(10)}
    added = [{"content": name, "id": 10 + place} for place, name in enumerate(_QWEN)]
    file.write_text(json.dumps({"added_tokens": added, "model": {"vocab": vocabulary}}))
    given = ["variables.data=data", f"variables.tokenizer={file}"]
    augment.STAGE.check(load_recipe("utk_32k", given))
    file.write_text(json.dumps({"added_tokens": added[:-1], "model": {"vocab": vocabulary}}))
    with pytest.raises(RecipeError, match=r"tokens\.end '<\|quad_end\|>' is no added token of the tokenizer"):
        augment.STAGE.check(load_recipe("utk_32k", given))
