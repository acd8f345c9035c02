"""Several packs as one: the collate function of a DataLoader with a batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lc_data.streaming.wire import Row


def join_packs(packs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Lay packs end to end as one flat row of ``len(packs) * seq_len`` tokens.

    Boundaries stay true: ``cu_seqlens`` goes on from pack to pack, ids are joined per segment, ``max_seqlen`` is the
    longest of all, and ``pack_index`` becomes int64 [packs]. Nothing is padded and nothing attends across a boundary.
    """
    per_token = ("input_ids", "labels", "position_ids")
    per_segment = ("document_ids", "part_ids", "domain_ids")
    joined = Row({name: torch.cat([pack[name] for pack in packs]) for name in (*per_token, *per_segment)})
    borders, end = [packs[0]["cu_seqlens"][:1]], 0
    for pack in packs:
        borders.append(pack["cu_seqlens"][1:] + end)
        end += len(pack["input_ids"])
    joined["cu_seqlens"] = torch.cat(borders)
    joined["max_seqlen"] = max(pack["max_seqlen"] for pack in packs)
    joined["pack_index"] = torch.tensor([pack["pack_index"] for pack in packs])
    return joined
