from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lc_data.corpus.document import is_target_part
from lc_data.corpus.readers.dialogues import ask_about
from lc_data.corpus.readers.distributions import installed_distributions
from lc_data.corpus.readers.kinds import identify_inputs
from lc_data.corpus.readers.library import module_name, parse_module, render_module
from lc_data.corpus.readers.record import Fault
from lc_data.recipe.sources import ChatTemplate
from tests.corpus.readers.reading import documents, make_source, read_records, reasons, skips

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\n{description}"


def install(
    site: Path, name: str, files: dict[str, bytes], more: str = "", description: str = "", **extra: str
) -> None:
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    metadata = METADATA.format(name=name, version="1.0", more=more, description=description)
    everything = {**files, f"{info}/METADATA": metadata.encode()}
    record = "".join(f"{path},,{len(content)}\n" for path, content in everything.items())
    for path, content in {**everything, f"{info}/RECORD": record.encode()}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of a few distributions."""
    site = tmp_path / "site-packages"
    code = {"zoo/b.py": b"b = 1\n", "zoo/a.py": b"a = 1", "zoo/data.so": b"\x7fELF", "zoo/bad.py": b"\xff"}
    code["zoo/_vendor/other-2.dist-info/METADATA"] = b"Metadata-Version: 2.1\nName: other\n\nVendored."
    licences = {"zoo-1.0.dist-info/licenses/LICENSE": b"Be nice.\n", "zoo/vendored/COPYING.txt": b"Be nice.\n"}
    install(site, "zoo", code | licences, "License-Expression: MIT\n", "# The zoo\n\nAnimals.")
    install(site, "Bee-Hive", {"bee.py": b"bee = 1\n"}, "License: BSD\n", "UNKNOWN")
    install(site, "classified", {"c.py": b"c = 1\n"}, "Classifier: License :: OSI Approved :: MIT License\n")
    install(site, "lc_data", {"lc.py": b"own = 1\n"})
    install(site, "working-copy", {"w.py": b"w = 1\n"})
    (site / "working_copy-1.0.dist-info/direct_url.json").write_text('{"dir_info": {"editable": true}}')
    (site / "unrecorded-1.0.dist-info").mkdir()
    (site / "unrecorded-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: unrecorded\nVersion: 1\n")
    monkeypatch.setattr(sys, "path", [str(site)])
    return site


def test_distributions_are_repositories(site: Path) -> None:
    records = read_records(make_source("environment", what="code"))
    found = {document.labels.id: document for document in documents(records)}
    assert list(found) == ["s/bee-hive", "s/classified", "s/zoo"]
    zoo = found["s/zoo"]
    assert zoo.text == b"a = 1\nb = 1\n"
    assert zoo.parts == (("zoo/a.py", 0, 5), ("zoo/b.py", 6, 6))
    assert [document.labels.license for document in found.values()] == ["BSD", "MIT License", "MIT"]
    assert reasons(records) == ["invalid UTF-8"]


def test_large_distributions_are_cut_between_files(site: Path) -> None:
    found = documents(read_records(make_source("environment", what="code", max_joined_bytes=7, exclude=["Bee_Hive"])))
    assert [document.labels.id for document in found if "zoo" in document.labels.id] == ["s/zoo#1", "s/zoo#2"]
    assert not any("bee" in document.labels.id for document in found)


def test_descriptions_and_licences(site: Path) -> None:
    records = read_records(make_source("environment", what="descriptions"))
    assert [(document.labels.id, document.text) for document in documents(records)] == [
        ("s/zoo", b"# The zoo\n\nAnimals.")
    ]
    assert [(skip.id, skip.reason) for skip in skips(records)] == [
        ("s/bee-hive", "no description"),
        ("s/classified", "no description"),
    ]
    licences = documents(read_records(make_source("environment", what="licences")))
    assert [document.labels.id for document in licences] == [
        "s/zoo/zoo-1.0.dist-info/licenses/LICENSE",
        "s/zoo/zoo/vendored/COPYING.txt",
    ]


def test_versions_stand_for_the_content(site: Path) -> None:
    source = make_source("environment", what="code")
    before = identify_inputs(source)
    assert before == ["bee-hive==1.0", "classified==1.0", "zoo==1.0"]
    install(site, "newcomer", {"n.py": b"n = 1\n"})
    assert identify_inputs(source) != before


MODULE = b'''"""Things that swim."""
import os

def swim(depth: int, *, fast=False) -> str:
    """Swim at a depth.

    Notes:
        Indented.
    """

async def dive(): ...

def _private():
    """No."""

class Fish(Animal, metaclass=Meta):
    """A fish."""

    def eat(self, food):
        """Eat."""

    def sleep(self): ...

if os.name:
    def swim(): "second"
    def float_(): "Floats."
'''


def test_documentation_is_made_of_signatures_and_docstrings() -> None:
    module = parse_module("sea.fish", MODULE)
    assert [member.name for member in module.walk()] == ["swim", "dive", "Fish", "Fish.eat", "Fish.sleep", "float_"]
    text = render_module(module)
    assert text.startswith("# sea.fish\n\nThings that swim.\n\n## Classes\n\n### Fish\n")
    assert "class Fish(Animal, metaclass=Meta)\n" in text
    assert "def swim(depth: int, *, fast=False) -> str\n```\n\nSwim at a depth.\n\nNotes:\n    Indented.\n\n" in text
    assert "#### Fish.eat\n\n```python\ndef eat(self, food)\n```\n\nEat." in text
    assert "async def dive()" in text
    assert "_private" not in text
    assert module_name("json/__init__.py") == "json"
    assert module_name("json/decoder.py") == "json.decoder"
    with pytest.raises(Fault, match="not Python source"):
        parse_module("x", b"def (")


def test_dialogues_ask_about_what_is_documented() -> None:
    module = parse_module("sea.fish", MODULE)
    fish = next(member for member in module.members if member.name == "Fish")
    dialogue, language = ask_about(fish, "sea.fish")
    roles = [message.role for message in dialogue.messages if message.role != "system"]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert language in {"en", "zh"}
    text, parts = dialogue.render(ChatTemplate())
    assert sum(is_target_part(part.source) for part in parts) == 2
    assert "Eat." in text.decode()


def test_the_real_standard_library() -> None:
    found = documents(read_records(make_source("environment", what="library_documentation", max_bytes=200_000)))
    assert len(found) > 5
    assert {document.labels.license for document in found} == {"PSF-2.0"}
    again = documents(
        read_records(make_source("environment", what="library_documentation", max_bytes=200_000), task_bytes=1)
    )
    assert again == found
    asked = documents(read_records(make_source("environment", what="dialogues", max_bytes=200_000)))
    assert len(asked) > 30
    assert {document.labels.language for document in asked} == {"en", "zh"}
    assert len({document.labels.id for document in asked}) == len(asked)
    for document in asked:
        assert document.parts is not None
        assert document.text.endswith(b"<|im_end|>\n")
        assert any(is_target_part(part.source) for part in document.parts)


def test_the_real_environment() -> None:
    records = read_records(make_source("environment", what="code", max_bytes=300_000))
    assert documents(records)
    names = [each.name for each in installed_distributions()]
    assert names == sorted(names)
    assert "lc-data" not in names
    assert documents(read_records(make_source("environment", what="descriptions", max_bytes=50_000)))
