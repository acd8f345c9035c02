"""The data as Croissant 1.0 describes it: JSON-LD by which catalogues find data sets and loaders read their columns.

The format and its context are those of the Croissant 1.0 specification of MLCommons. Only what was measured is stated;
who made the data, when it was published and where it is to be found are for people to add. Shards are given as sets of
files and not one by one: a corpus has thousands, and their checksums (xxh3-128) stand in the manifests, whose SHA-256
stands here.
"""

from __future__ import annotations

import json
from typing import Any

from lc_data.reports.content import Report, StageFiles

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
ARROW = "application/vnd.apache.arrow.file"

_PROPERTIES = ("citeAs", "column", "extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes",
               "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
               "repeated", "replace", "separator", "source", "subField", "transform")  # fmt: skip

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _PROPERTIES},
}

Fields = tuple[tuple[str, str, str], ...]
"""Columns as (name, data type, description)."""

_DOCUMENT_FIELDS: Fields = (
    ("id", "sc:Text", "Name of the document, the same in every stage."),
    ("text", "sc:Text", "The document."),
    ("domain", "sc:Text", "Domain by which mixtures are weighed."),
    ("source", "sc:Text", "Where the document was read from."),
    ("license", "sc:Text", "Licence that the source states, if any."),
    ("language", "sc:Text", "Language that the source states, if any."),
    ("metadata", "sc:Text", "What else is known of the document, as a JSON object, if anything."),
)
_TOKEN_FIELDS: Fields = (
    ("id", "sc:Text", "Name of the document."),
    ("domain", "sc:Integer", "Place of the domain in the sorted list of domains."),
    ("length", "sc:Integer", "Tokens of the document."),
    ("tokens", "sc:Integer", "Token ids, in order."),
)
_PLAN_FIELDS: Fields = (
    ("pack", "sc:Integer", "Row of the training data that the piece lies in, from 0."),
    ("document", "sc:Integer", "Number of the document: its place in the tokenised shards, from 0."),
    ("start", "sc:Integer", "Token of the document at which the piece begins."),
    ("length", "sc:Integer", "Tokens of the piece."),
    ("part", "sc:Integer", "Which piece of its document it is, from 0."),
    ("span", "sc:Integer", "Pieces of a row with the same number attend to one another."),
)
_TEXT_STAGES = ("dedupe", "filter", "ingest")


def render_croissant(report: Report) -> str:
    """The description of a run as far as it has come, as JSON-LD with a line feed at its end.

    Paths are relative to the folder of the report.
    """
    sets = _record_sources(report)
    dataset: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": report.name,
        "description": report.description or report.name,
    }
    licenses = sorted(license_ for license_ in report.licenses if license_)
    if licenses:
        dataset["license"] = licenses[0] if len(licenses) == 1 else licenses
    languages = sorted(language for language in report.languages if language)
    if languages:
        dataset["inLanguage"] = languages
    dataset["distribution"] = [
        *({source.stage: _manifest(source) for source, *_ in sets}.values()),
        *(_file_set(source) for source, *_ in sets),
    ]
    dataset["recordSet"] = [_record_set(*each) for each in sets]
    return json.dumps(dataset, indent=1, ensure_ascii=False) + "\n"


def _record_sources(report: Report) -> list[tuple[StageFiles, str, Fields]]:
    """The files that hold records, what a record is, and its fields."""
    found: list[tuple[StageFiles, str, Fields]] = []
    texts = [files for stage in _TEXT_STAGES for files in report.files if files.stage == stage]
    if texts:
        found.append((texts[0], "A document as text.", _DOCUMENT_FIELDS))
    for files in report.files:
        if files.stage == "bucket":
            found.append((files, "A document as tokens.", _TOKEN_FIELDS))
        elif files.stage == "augment" and files.rows:
            found.append((files, "A document that was derived of others, as tokens.", _TOKEN_FIELDS))
        elif files.stage == "pack" and files.rows:
            found.append((files, f"A piece of a document in the plan {files.purpose}.", _PLAN_FIELDS))
    return found


def _name(files: StageFiles) -> str:
    kind = {"bucket": "tokens", "augment": "derived-tokens", "pack": f"plan-{files.purpose}"}
    return kind.get(files.stage, "documents")


def _manifest(files: StageFiles) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"{files.stage}-manifest",
        "name": f"{files.stage}-manifest",
        "description": f"Manifest of the stage {files.stage}: every file with its size and xxh3-128, and the ledger.",
        "contentUrl": f"../{files.stage}/manifest.json",
        "contentSize": f"{files.manifest_bytes} B",
        "encodingFormat": "application/json",
        "sha256": files.manifest_sha256,
    }


def _file_set(files: StageFiles) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{_name(files)}-files",
        "name": f"{_name(files)}-files",
        "description": f"{files.files:,} files with {files.rows:,} rows, {files.bytes:,} bytes on disk.",
        "encodingFormat": ARROW,
        "includes": f"../{files.stage}/{files.pattern}",
    }


def _record_set(files: StageFiles, description: str, fields: Fields) -> dict[str, Any]:
    name = _name(files)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{description} {files.rows:,} of them.",
        "field": [_field(name, *field) for field in fields],
    }


def _field(record_set: str, column: str, kind: str, description: str) -> dict[str, Any]:
    field = {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": column,
        "description": description,
        "dataType": kind,
        "source": {"fileSet": {"@id": f"{record_set}-files"}, "extract": {"column": column}},
    }
    return field | {"repeated": True} if column == "tokens" else field
