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
    The ``piece_*`` arrays of packs without masks are joined likewise. Each pack's anchor, where there are some, stays a
    segment of length 1 with the document id -2, in front of the segments that see it.
    """
    joined = Row()
    for name in packs[0]:
        if name == "max_seqlen":
            joined[name] = max(pack[name] for pack in packs)
        elif name == "pack_index":
            joined[name] = torch.tensor([pack[name] for pack in packs])
        elif name.endswith("cu_seqlens"):
            joined[name] = _join_borders([pack[name] for pack in packs])
        else:
            joined[name] = torch.cat([pack[name] for pack in packs])
    return joined


def _join_borders(borders: Sequence[torch.Tensor]) -> torch.Tensor:
    joined, end = [borders[0][:1]], 0
    for own in borders:
        joined.append(own[1:] + end)
        end += int(own[-1])
    return torch.cat(joined)
