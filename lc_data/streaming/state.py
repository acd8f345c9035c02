"""Where a stream stands: one absolute integer, and what it counts in.

There is no epoch, buffer, shard cursor or worker state in it. Loaders that keep those lose or repeat rows when a run
resumes with other workers or another number of ranks; a count of packs over all ranks cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lc_data.failure import Failure

STATE_VERSION = 1

_NAMED = 8
"""Changed packs that an error names."""


class StreamStateError(Failure):
    """A saved state does not belong to this stream; the message says what differs and how to mend it."""


class StreamState(BaseModel):
    """The state of a stream."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: int = STATE_VERSION
    fingerprint: str
    """What the tokenised corpus is: a hash over its shards' checksums and its tokenizer."""
    plan_hash: str
    """What the plan is: ``lc_data.packing.plan.plan_hash``, which covers seq_len."""
    seq_len: int | None = None
    """Tokens in a pack: plan_hash covers it, but cannot say that it is this that differs. None is not compared."""
    consumed: int = Field(ge=0)
    """Packs consumed over all ranks since the beginning of the plan."""


ChangedSince = Callable[[str, int], npt.NDArray[np.int64] | None]
"""See :meth:`lc_data.corpus.plan.PackPlan.changed_since`."""


def load_state(
    state: Mapping[str, Any], stream: StreamState, packs: int, changed_since: ChangedSince = lambda plan, consumed: None
) -> int:
    """The packs consumed in a saved state of the stream whose present state is ``stream`` and which has ``packs``.

    A state of another plan that the run has had is one of this plan, unless packs that it has consumed have changed.

    Raises :class:`StreamStateError` when the state is no state, or belongs to another corpus, plan or format.
    """
    if state.get("version") != STATE_VERSION:
        raise StreamStateError(
            f"the stream state has version {state.get('version')!r}, this package reads {STATE_VERSION}: "
            "resume with the version of lc_data that saved it"
        )
    try:
        saved = StreamState.model_validate(dict(state))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise StreamStateError(f"this is not a stream state: {wrong}") from None
    mends = {
        "seq_len": "open the run that was packed at that length, or start anew at consumed = 0",
        "fingerprint": "the tokenised corpus is another one: give the run folder that the state was saved with",
        "plan_hash": "the plan is another one: restore the recipe that the state was saved with and pack again "
        "(the same recipe gives the same plan), or start anew at consumed = 0",
    }
    is_here = saved.fingerprint == stream.fingerprint and saved.seq_len in (None, stream.seq_len)
    if is_here and saved.plan_hash != stream.plan_hash:
        changed = changed_since(saved.plan_hash, saved.consumed)
        if changed is not None:
            _check_unchanged(changed, saved)
            return saved.consumed
    for name, mend in mends.items():
        before, now = getattr(saved, name), getattr(stream, name)
        if before is not None and before != now:
            raise StreamStateError(f"{name} differs: the state was saved with {before}, this stream has {now}; {mend}")
    if saved.consumed > packs:
        raise StreamStateError(
            f"consumed is {saved.consumed}, but the plan has {packs} packs: `consumed` counts packs over all ranks, "
            "neither batches nor tokens"
        )
    return saved.consumed


def _check_unchanged(changed: npt.NDArray[np.int64], saved: StreamState) -> None:
    """Raise :class:`StreamStateError` when packs that a state of an older plan has consumed hold something else now."""
    if len(changed):
        named = ", ".join(map(str, changed[:_NAMED])) + (
            f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        )
        raise StreamStateError(
            f"the state was saved with {saved.consumed} packs consumed of a plan that has given way to another one, "
            f"and {len(changed)} of these packs have changed ({named}): documents were taken out of them, or another "
            f"mixture begins there; resume from a state with consumed <= {changed[0]}, or load state_at of this stream "
            "to go on with what was learned from them"
        )
