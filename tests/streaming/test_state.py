from __future__ import annotations

import json

import numpy as np
import pytest

from lc_data.streaming.state import StreamState, StreamStateError, load_state

STREAM = StreamState(fingerprint="f" * 32, plan_hash="a" * 32, seq_len=32768, consumed=0)
SAVED = STREAM.model_dump() | {"consumed": 40}


def test_a_saved_state_survives_json() -> None:
    assert load_state(json.loads(json.dumps(SAVED)), STREAM, packs=40) == 40


def test_a_state_without_seq_len_is_told_by_its_hash_alone() -> None:
    del (bare := dict(SAVED))["seq_len"]
    assert load_state(bare, STREAM, packs=100) == 40
    with pytest.raises(StreamStateError, match="plan_hash differs"):
        load_state(bare | {"plan_hash": "b" * 32}, STREAM, packs=100)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"version": 2}, "version 2, this package reads 1"),
        (
            {"fingerprint": "0" * 32},
            "fingerprint differs: the state was saved with 000.*this stream has fff.*run folder",
        ),
        ({"plan_hash": "b" * 32}, "plan_hash differs: .*restore the recipe"),
        (
            {"seq_len": 4096, "plan_hash": "b" * 32},
            "seq_len differs: the state was saved with 4096, this stream has 32768",
        ),
        ({"consumed": 101}, "consumed is 101, but the plan has 100 packs"),
        ({"consumed": -1}, "consumed: .*greater than or equal to 0"),
        ({"consumed": "40"}, "consumed: .*integer"),
        ({"epoch": 1}, "epoch: Extra inputs"),
    ],
)
def test_what_differs_is_said(change: dict, named: str) -> None:
    with pytest.raises(StreamStateError, match=named):
        load_state(SAVED | change, STREAM, packs=100)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(StreamStateError, match="consumed: Field required"):
        load_state({"version": 1, "fingerprint": "f" * 32, "plan_hash": "a" * 32}, STREAM, packs=100)
    with pytest.raises(StreamStateError, match="version None"):
        load_state({}, STREAM, packs=100)


def test_a_state_of_an_older_plan_loads_unless_it_saw_what_changed() -> None:
    changed = np.array([7, 12, *range(40, 60)])

    def changed_since(plan_hash: str, consumed: int) -> np.ndarray | None:
        return changed[changed < consumed] if plan_hash == "b" * 32 else None

    old = SAVED | {"plan_hash": "b" * 32}
    for consumed in (0, 7):
        assert load_state(old | {"consumed": consumed}, STREAM, 100, changed_since) == consumed
    with pytest.raises(StreamStateError, match=r"1 of these packs have changed \(7\).* consumed <= 7, or"):
        load_state(old | {"consumed": 8}, STREAM, 100, changed_since)
    with pytest.raises(StreamStateError, match=r"22 of these .*\(7, 12, 40, 41, 42, 43, 44, 45 and 14 more\)"):
        load_state(old | {"consumed": 100}, STREAM, 100, changed_since)
    for change, named in (({"fingerprint": "0" * 32}, "fingerprint differs"), ({"plan_hash": "c" * 32}, "plan_hash")):
        with pytest.raises(StreamStateError, match=named):
            load_state(old | {"consumed": 3} | change, STREAM, 100, changed_since)
