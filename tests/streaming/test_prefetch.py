from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from lc_data.streaming.prefetch import Prefetch


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lc_data-prefetch"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert threads() == []


@pytest.mark.parametrize("ahead", [1, 2, 7])
def test_items_keep_their_order(ahead: int) -> None:
    items = Prefetch(iter(range(50)), ahead)
    assert list(items) == list(range(50))
    assert list(items) == []


def test_nothing_is_made_further_ahead_than_allowed() -> None:
    made: list[int] = []
    reached = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 5:
                reached.set()
            yield number

    items = Prefetch(source(), ahead=3)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    assert reached.wait(60)
    # Taken: 3; waiting: at most 3. The thread may not begin a seventh before another is taken.
    assert len(made) == 6
    items.close()
    assert len(made) == 6


def test_an_exception_comes_at_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("the third shard is gone")

    items = Prefetch(source(), ahead=4)
    assert next(items) == 1
    with pytest.raises(LookupError, match="third shard"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


def test_a_dropped_iterator_takes_its_thread_along() -> None:
    items = Prefetch(iter(range(10**9)), ahead=2)
    next(items)
    assert len(threads()) == 1
    del items
    gc.collect()
    assert threads() == []


def test_closing_twice_is_closing_once() -> None:
    items = Prefetch(iter(range(10)), ahead=2)
    items.close()
    items.close()
    assert list(items) == []


def test_an_interpreter_with_an_unfinished_iterator_exits() -> None:
    program = (
        "from lc_data.streaming.prefetch import Prefetch; items = Prefetch(iter(range(10**9)), 2); print(next(items))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


def test_reading_nothing_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 here, got 0"):
        Prefetch(iter([]), ahead=0)
