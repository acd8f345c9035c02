"""schemas/ says what the code does."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from lc_data.schemas import all_schemas
from tests.small_corpus import small_recipe_text

FOLDER = Path(__file__).parents[1] / "schemas"


def test_every_contract_has_its_file_and_no_file_is_left_over():
    assert {path.name for path in FOLDER.iterdir()} == set(all_schemas())


@pytest.mark.parametrize("name", sorted(all_schemas()))
def test_the_file_is_what_the_code_says(name):
    on_disk = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert on_disk == json.loads(json.dumps(all_schemas()[name])), f"run `make schemas` if {name} was meant to change"


def test_the_recipe_schema_accepts_a_recipe_and_rejects_a_misspelt_key():
    schema = all_schemas()["recipe.schema.json"]
    recipe = yaml.safe_load(small_recipe_text(Path("corpus")))
    jsonschema.validate(recipe, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**recipe, "mixtur": {}}, schema)
