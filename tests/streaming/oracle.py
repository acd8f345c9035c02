"""What a pack must hold, token by token in plain Python, from the documents and the plan."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.streaming.packed_run import PAD_ID, PackedRun


def expected_pack(run: PackedRun, purpose: str, index: int) -> dict[str, Any]:
    """The lists and numbers of one pack whose spans are its pieces."""
    seq_len = run.plans[purpose]["seq_len"]
    rows = [row for block in run.blocks[purpose] for row in block.to_table().to_pylist() if row["pack"] == index]
    pack: dict[str, Any] = {"input_ids": [], "labels": [], "position_ids": [], "cu_seqlens": [0]}
    pack |= {"document_ids": [], "part_ids": [], "domain_ids": []}
    for row in rows:
        document = run.documents[row["document"]]
        for place, position in enumerate(range(row["start"], row["start"] + row["length"])):
            token = document.tokens[position]
            target = document.spans is None or any(start <= position < end for start, end in document.spans)
            pack["input_ids"].append(token)
            pack["labels"].append(token if target and place > 0 else -100)
            pack["position_ids"].append(place)
        pack["cu_seqlens"].append(len(pack["input_ids"]))
        pack["document_ids"].append(row["document"])
        pack["part_ids"].append(row["part"])
        pack["domain_ids"].append(run.domains.index(document.domain))
    padding = seq_len - len(pack["input_ids"])
    if padding:
        pack["input_ids"] += [PAD_ID] * padding
        pack["labels"] += [-100] * padding
        pack["position_ids"] += range(padding)
        pack["cu_seqlens"].append(seq_len)
        for name in ("document_ids", "part_ids", "domain_ids"):
            pack[name].append(-1)
    borders = pack["cu_seqlens"]
    pack["max_seqlen"] = max(end - start for start, end in pairwise(borders))
    pack["pack_index"] = index
    return pack


def as_lists(pack: dict[str, Any]) -> dict[str, Any]:
    """A streamed pack in the form of the oracle."""
    return {name: value if isinstance(value, int) else value.tolist() for name, value in pack.items()}
