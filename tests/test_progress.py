from __future__ import annotations

import io

import pytest

from lc_data import progress
from lc_data.progress import Progress, format_quantity, format_seconds


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "B", "0 B"),
        (999, "B", "999 B"),
        (1_500_000, "B", "1.5 MB"),
        (32_768, "tokens", "32.8 K tokens"),
        (0.5, "B", "0.5 B"),
    ],
)
def test_quantities_are_readable(value, unit, text):
    assert format_quantity(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.24, "4.2 s"), (59.4, "59.4 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (119.9, "2 min 00 s")],
)
def test_durations_are_readable(seconds, text):
    assert format_seconds(seconds) == text


def test_a_log_gets_one_line_at_the_end_of_short_work():
    log = io.StringIO()
    with Progress("copy", 10, "B", log) as bar:
        bar.advance(4)
        bar.advance(6, note="last.txt")
    lines = log.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("copy: 100% 10 B of 10 B")
    assert lines[0].endswith("last.txt")


def test_long_work_says_how_far_it_is_and_what_is_left(monkeypatch):
    clock = iter(range(0, 100_000, 6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    log = io.StringIO()
    with Progress("copy", 4, "B", log) as bar:
        for _ in range(4):
            bar.advance(1)
    lines = log.getvalue().splitlines()
    assert "left" in lines[0]
    assert lines[-1].startswith("copy: 100%")
    assert len({line for line in lines if "100%" in line}) == 1


def test_work_that_failed_does_not_look_finished():
    log = io.StringIO()
    with pytest.raises(ZeroDivisionError), Progress("copy", 10, "B", log):
        raise ZeroDivisionError
    assert log.getvalue() == ""


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with Progress("copy", 10, "B", terminal) as bar:
        bar.advance(10, note="last.txt")
    assert "100%" in terminal.getvalue()
