from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.readers.inputs import InputFile, InputRange, Listing
from lc_data.corpus.readers.kinds import READERS, identify_inputs, plan_source
from lc_data.recipe.sources import IngestSection, Source
from tests.corpus.readers.reading import make_source, to_lines


def test_every_kind_of_source_has_a_reader() -> None:
    union = get_args(Source)[0]
    assert set(READERS) == {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(union)}


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 60))
def test_tasks_are_balanced_by_bytes_and_keep_the_order(sizes: list[int], task_bytes: int) -> None:
    files = [InputFile(f"/{number:03d}.txt", f"{number:03d}.txt", size, "1") for number, size in enumerate(sizes)]
    plans = plan_source(make_source("text", "x"), Listing(files), IngestSection(task_bytes=task_bytes))
    assert [part.file for plan in plans for part in plan.inputs if isinstance(part, InputRange)] == files
    assert [plan.key for plan in plans] == [f"s-{number:05d}" for number in range(len(plans))]
    for plan in plans:
        assert len(plan.inputs) <= 1 or plan.weight_bytes <= task_bytes
    for first, second in pairwise(plans):
        assert first.weight_bytes + second.inputs[0].weight_bytes > task_bytes


def test_the_identity_changes_with_the_inputs(tmp_path: Path) -> None:
    source = make_source("jsonl", tmp_path)
    (tmp_path / "a.jsonl").write_bytes(to_lines({"text": "a"}))
    seen = [identify_inputs(source)]
    (tmp_path / "b.jsonl").write_bytes(b"")
    seen.append(identify_inputs(source))
    (tmp_path / "b.jsonl").write_bytes(b"\n")
    seen.append(identify_inputs(source))
    (tmp_path / "c.jsonl").symlink_to("nowhere")
    seen.append(identify_inputs(source))
    assert len({str(identity) for identity in seen}) == 4
    assert identify_inputs(source) == seen[-1]
