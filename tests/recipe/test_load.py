from __future__ import annotations

import pytest
import yaml

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import dump_recipe, find_recipe, load_recipe, parse_recipe

MINIMAL = """
name: small
sources:
  - {name: web, kind: jsonl, paths: [web.jsonl], domain: web}
  - {name: books, kind: parquet, paths: [books.parquet], domain: books}
tokenizer: {train: {vocab_size: 1024}}
"""


def test_minimal_recipe_fills_in_every_default():
    recipe = parse_recipe(MINIMAL)
    assert recipe.pack.seq_len == 32768
    assert recipe.domains("pretrain") == ["books", "web"]
    assert recipe.domains("sft") == []


def test_resolved_recipe_reads_back_as_itself():
    recipe = parse_recipe(MINIMAL, ["pack.seq_len=4096"])
    assert parse_recipe(dump_recipe(recipe)) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pack.seq_length=4096", r"pack\.seq_length: unknown key; did you mean 'seq_len'\?"),
        ("mixtur.budget_tokens=1", r"mixtur: unknown key; did you mean 'mixture'\?"),
        ("sources.web.pats=[a]", r"sources\.0\.jsonl\.pats: unknown key; did you mean 'paths'\?"),
        ("pack.seq_len=many", r"pack\.seq_len: .*got 'many'"),
        ("sources.web.kind=jsonlines", "jsonlines"),
        (
            "mixture.weights={wbe: 1, books: 1}",
            r"mixture\.weights: no pretrain source has the domain 'wbe'; did you mean 'web'",
        ),
        ("mixture.weights={web: -1}", r"mixture\.weights\.web: .*got -1"),
        ("mixture.weights={web: 0}", "weights sum to 0"),
        ("mixture.lengths={mode: per_source, long_share: 1.5}", "long_share"),
        ("mixture.lengths={mode: per_source, threshold_tokens: 5000, long_share: 0.5}", "5000, which is none of"),
        (
            "pretrain={batch_tokens: 40000, processes: 2, model: {path: m}}",
            r"multiple of pack\.seq_len \(32768\) x pretrain\.processes \(2\) = 65536: for example 65536",
        ),
        ("tokenizer.path=tokenizer.json", "exactly one of"),
        ("sources.books.name=web", "'web' is used more than once"),
        ("seed=-1", "seed: .*got -1"),
        ("pack", "not of the form"),
        ("sources.5.name=x", "neither an index below 2 nor a name"),
        ("name.x=1", "holds a single value"),
    ],
)
def test_a_fault_names_the_field_the_value_and_the_fix(override, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(MINIMAL, [override])


def test_all_faults_come_in_one_message():
    with pytest.raises(RecipeError) as caught:
        parse_recipe(MINIMAL, ["pack.seq_len=0", "seed=-1"])
    assert "pack.seq_len" in str(caught.value)
    assert "seed" in str(caught.value)


def test_a_dialogue_domain_holds_nothing_else():
    chat = MINIMAL + "  \n"
    with pytest.raises(RecipeError, match="'web' holds dialogues and plain documents"):
        parse_recipe(chat, ["sources.books={name: chats, kind: chat, paths: [c.jsonl], domain: web}"])


def test_a_key_that_stands_twice_is_refused_with_its_line():
    with pytest.raises(RecipeError, match="line 6: the key 'name' stands twice"):
        parse_recipe(MINIMAL.strip() + "\nname: other\n")


def test_broken_yaml_and_wrong_top_level_are_recipe_errors():
    with pytest.raises(RecipeError, match="not YAML"):
        parse_recipe("name: [")
    with pytest.raises(RecipeError, match="not a mapping"):
        parse_recipe("- 1")


def test_variables_are_substituted_and_missing_ones_are_named():
    text = MINIMAL.replace("[web.jsonl]", '["${corpus}/web.jsonl"]') + "variables: {corpus: null}\n"
    recipe = parse_recipe(text, ["variables.corpus=/data"])
    assert recipe.sources[0].paths == ("/data/web.jsonl",)
    with pytest.raises(
        RecipeError,
        match=r"(?s)'corpus' has no value.*-o variables.corpus=VALUE.*sources\.0\.paths\.0: \$\{corpus\}/web",
    ):
        parse_recipe(text)
    with pytest.raises(RecipeError, match="no variable 'corpus'; did you mean 'korpus'"):
        parse_recipe(text.replace("{corpus: null}", "{korpus: x}"))


def test_all_missing_variables_come_in_one_error_with_what_they_are_for():
    text = MINIMAL.replace("[web.jsonl]", '["${data}/web"]').replace("[books.parquet]", '["${data}/books"]')
    text = text.replace("{train: {vocab_size: 1024}}", '{path: "${tokenizer}"}')
    text += (
        "description: Needs two things, ${data} and another.\nvariables: {data: null, tokenizer: null, spare: null}\n"
    )
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    said = str(caught.value)
    for part in (
        "-o variables.data=VALUE",
        "${data}/web",
        "${data}/books",
        "-o variables.tokenizer=VALUE",
        "Needs two",
    ):
        assert part in said
    assert "spare" not in said


def test_a_number_may_be_the_value_of_a_variable():
    text = MINIMAL + 'variables: {length: 4096}\npack: {seq_len: "${length}"}\n'
    assert parse_recipe(text).pack.seq_len == 4096
    recipe = parse_recipe(text, ["variables.length=65536"])
    assert recipe.pack.seq_len == 65536
    assert parse_recipe(dump_recipe(recipe)) == recipe
    with pytest.raises(RecipeError, match="not a table"):
        parse_recipe(MINIMAL + "variables: [1]\n")


def test_every_shipped_recipe_is_valid():
    folder = find_recipe("demo").parent
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    assert "demo" in names
    for name in names:
        text = find_recipe(name).read_text(encoding="utf-8")
        variables = yaml.safe_load(text).get("variables", {})
        needed = [variable for variable, value in variables.items() if value is None]
        values = {variable: 10**6 if variable.endswith("_tokens") else "given" for variable in needed}
        assert parse_recipe(text, [f"variables.{variable}={value}" for variable, value in values.items()]).sources


def test_an_unknown_recipe_name_suggests_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'demo'"):
        load_recipe("demoo")
