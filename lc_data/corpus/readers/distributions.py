"""The distributions that are installed in this environment: names, licences, files.

Only the headers of METADATA and the lines of RECORD are read: ``importlib.metadata`` parses whole descriptions and
makes a path object of every file, which took seven seconds on 130 packages where this takes one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions

import orjson

_OWN_NAME = "lc-data"


@dataclass(frozen=True)
class Installed:
    """An installed distribution."""

    name: str
    """Normalised: lower case, words joined by ``-``."""
    version: str
    license: str | None
    root: str
    """The folder that the paths of its files start from."""
    record: str

    def files(self) -> list[str]:
        """The paths of its files, sorted; scripts and others outside of ``root`` left out."""
        paths = (row[0] for row in csv.reader(self.record.splitlines()) if row)
        return sorted(path for path in paths if not path.startswith(("../", "/")))


def installed_distributions(exclude: Sequence[str] = ()) -> list[Installed]:
    """The distributions that an import would find, sorted by name.

    Left out: this project itself, what is installed in editable mode (its code is somebody's working copy), and what
    has no RECORD of its files.
    """
    left_out = {_normalise(name) for name in (*exclude, _OWN_NAME)}
    found: dict[str, Distribution] = {}
    headers: dict[str, Message] = {}
    for distribution in distributions():
        stated = _headers(distribution)
        name = _normalise(stated.get("Name", ""))
        if name and name not in left_out and name not in found:
            found[name], headers[name] = distribution, stated
    described = (_describe(name, found[name], headers[name]) for name in sorted(found))
    return [installed for installed in described if installed is not None]


def stated_license(metadata: Message) -> str | None:
    """The licence that metadata states: an expression, a short name, or the classifiers."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    stated = str(metadata.get("License", "")).strip()
    if stated and "\n" not in stated and len(stated) <= 100 and stated.upper() != "UNKNOWN":
        return stated
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License ::")]
    return " OR ".join(each.rpartition("::")[2].strip() for each in classifiers) or None


def _describe(name: str, distribution: Distribution, stated: Message) -> Installed | None:
    record = distribution.read_text("RECORD")
    if record is None or _is_editable(distribution):
        return None
    root = str(distribution.locate_file(""))
    return Installed(name, str(stated.get("Version", "")), stated_license(stated), root, record)


def _headers(distribution: Distribution) -> Message:
    text = distribution.read_text("METADATA") or ""
    return HeaderParser().parsestr(text.partition("\n\n")[0])


def _is_editable(distribution: Distribution) -> bool:
    stated = distribution.read_text("direct_url.json")
    return bool(stated and orjson.loads(stated).get("dir_info", {}).get("editable", False))


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
