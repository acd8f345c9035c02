"""The contracts in language-neutral form: ``python -m lc_data.schemas FOLDER`` writes schemas/ from the code.

JSON Schema for what is JSON (recipe, manifest, pack), and the Arrow schemas as JSON: name, type and nullability of each
field. A test compares the files with the code, so a contract cannot change by accident.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter


def arrow_as_json(schema: pa.Schema, description: str) -> dict[str, Any]:
    """An Arrow schema as a JSON object."""
    fields = [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in schema]
    return {"description": description, "fields": fields}


def all_schemas() -> dict[str, dict[str, Any]]:
    """Every contract by its file name."""
    from lc_data.corpus.derived import PARTS_SCHEMA
    from lc_data.corpus.document import DOCUMENT_SCHEMA, DROPPED_SCHEMA, QUARANTINE_SCHEMA
    from lc_data.corpus.manifest import Manifest
    from lc_data.corpus.tokenized import INDEX_SCHEMA, tokenized_schema
    from lc_data.forecast.result import Forecast
    from lc_data.mixing.sampling import HELD_OUT_SCHEMA, SAMPLING_SCHEMA
    from lc_data.packing.plan import PLAN_SCHEMA
    from lc_data.recipe.recipe import Recipe
    from lc_data.streaming.state import StreamState

    return {
        "recipe.schema.json": Recipe.model_json_schema(),
        "manifest.schema.json": Manifest.model_json_schema(by_alias=True),
        "forecast.schema.json": Forecast.model_json_schema(),
        "stream_state.schema.json": TypeAdapter(StreamState).json_schema(),
        "pack.schema.json": _pack_schema(),
        "document.arrow.json": arrow_as_json(DOCUMENT_SCHEMA, "A document; IPC files compressed with LZ4."),
        "dropped.arrow.json": arrow_as_json(DROPPED_SCHEMA, "A document that a stage removed, and by which rule."),
        "quarantine.arrow.json": arrow_as_json(QUARANTINE_SCHEMA, "Input that could not be read, and why."),
        "tokenized_document.arrow.json": arrow_as_json(
            tokenized_schema(pa.int32()), "A tokenised document; tokens are uint16 where the vocabulary allows."
        ),
        "index.arrow.json": arrow_as_json(INDEX_SCHEMA, "One row per tokenised document, in the order of the shards."),
        "sampling.arrow.json": arrow_as_json(SAMPLING_SCHEMA, "One row per purpose, domain and length bucket."),
        "held_out.arrow.json": arrow_as_json(HELD_OUT_SCHEMA, "The documents that training never sees."),
        "parts.arrow.json": arrow_as_json(PARTS_SCHEMA, "One row per part of a derived document, in their order."),
        "plan.arrow.json": arrow_as_json(PLAN_SCHEMA, "One row per piece of a pack, sorted by pack."),
    }


def _pack_schema() -> dict[str, Any]:
    def array(dtype: str, shape: str, description: str) -> dict[str, str]:
        return {"dtype": dtype, "shape": shape, "description": description}

    return {
        "description": "What the stream yields: one flat row of exactly seq_len tokens with its true boundaries.",
        "fields": {
            "input_ids": array("int64", "[seq_len]", "tokens; padding, if any, at the end"),
            "labels": array("int64", "[seq_len]", "input_ids, unshifted, or -100 where no loss is taken"),
            "position_ids": array("int64", "[seq_len]", "restart at 0 in each segment; at 1 behind an anchor"),
            "cu_seqlens": array("int32", "[segments + 1]", "segment borders, from 0 to seq_len"),
            "max_seqlen": array("int", "", "length of the longest segment"),
            "document_ids": array("int64", "[segments]", "document number; -1 for padding, -2 for an anchor"),
            "part_ids": array("int64", "[segments]", "piece number within the document; -1, -2 likewise"),
            "domain_ids": array("int64", "[segments]", "domain code; -1, -2 likewise"),
            "pack_index": array("int", "", "place of the row in the plan"),
        },
    }


def write_schemas(folder: Path) -> None:
    """Write every contract into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in all_schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
