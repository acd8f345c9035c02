"""Making a prompt fit: its first and its last half stay, its middle goes.

This is what the report of Index-1.9B-32K means: instructions and questions stand at the ends of a prompt. The halves
are of the untruncated prompt. The harness that the report used cuts from the left first and then takes the middle out
of what is left, so that a long prompt loses its beginning after all; LongBench's script decodes both halves and
encodes them again, so that lengths drift. Here token ids are cut, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lc_data.failure import Failure

Truncation = Literal["middle", "none"]


def room_for_prompt(max_seq_len: int, max_new_tokens: int) -> int:
    """Tokens that a prompt may have beside its answer; raises :class:`Failure` where that is less than 2."""
    room = max_seq_len - max_new_tokens
    if room < 2:
        raise Failure(
            f"an answer of {max_new_tokens} tokens leaves {room} of {max_seq_len} for the prompt: raise --max-seq-len"
        )
    return room


def fit(ids: Sequence[int], room: int, truncation: Truncation) -> list[int]:
    """A prompt that has at most ``room`` tokens; an odd room loses one when the middle is cut.

    Raises:
        Failure: for a prompt that does not fit and may not be cut.

    """
    if len(ids) <= room:
        return list(ids)
    if truncation == "none":
        raise Failure(f"a prompt of {len(ids)} tokens does not fit into {room}: raise --max-seq-len, or cut the middle")
    half = room // 2
    return [*ids[:half], *ids[len(ids) - half :]]
