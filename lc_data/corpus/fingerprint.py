"""Fingerprints and checksums: xxh3-128 over canonical JSON or over bytes, as 32 hexadecimal digits.

A fingerprint says what a stage's output depends on: its name and version, its part of the resolved recipe and its
upstream fingerprints. Equal fingerprint and a whole manifest mean that there is nothing to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import xxhash

from lc_data.corpus.storage import open_input

_CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def fingerprint(value: Any) -> str:
    """The fingerprint of a JSON value."""
    return xxhash.xxh3_128_hexdigest(canonical_json(value))


def file_checksum(uri: str) -> str:
    """The xxh3-128 of a file's bytes."""
    state = xxhash.xxh3_128()
    with open_input(uri) as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def child_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for a named purpose, independent of the seeds of other purposes."""
    return xxhash.xxh3_64_intdigest(canonical_json([seed, *names])) >> 1


def stable_order_keys(ids: list[str], seed: int) -> list[int]:
    """A 64-bit key for each document id: sorting by it is a seeded shuffle that no partitioning can change."""
    return [xxhash.xxh3_64_intdigest(document_id, seed=seed) for document_id in ids]


def difference(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """The dotted keys in which two configurations differ, each with its old and its new value."""
    changes = []
    for key in sorted({*old, *new}):
        here = f"{path}{key}"
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changes += difference(before, after, f"{here}.")
        elif before != after:
            changes.append(f"{here}: {_short(before)} -> {_short(after)}")
    return changes


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
