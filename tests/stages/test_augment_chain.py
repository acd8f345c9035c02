"""Transforms in the whole chain, with a tokenizer of its own: from files to a report, and away again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.corpus.trace import trace_pack
from lc_data.corpus.verify import verify_run
from lc_data.reports import write_report
from lc_data.stages.chain import run_chain
from tests.small_corpus import published_bytes, small_recipe, write_small_corpus

SPECIAL = (
    'tokenizer.train.special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|h|>", "<|t|>", "<|q|>", "<|e|>"]'
)
AUGMENT = (
    'augment=[{name: untie_knots, share: 0.5, tokens: {head: "<|h|>", tail: "<|t|>", trace: "<|q|>", end: "<|e|>"}}, '
    "{name: interleave, share: 0.3}]"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_small_corpus(folder)
    return folder


def test_a_whole_run_verifies_reports_traces_and_goes_back_to_none(corpus, tmp_path):
    run = RunFolder(str(tmp_path / "run"))
    plain = small_recipe(corpus, SPECIAL)
    list(run_chain(plain, run, "pack"))
    before = published_bytes(Path(run.uri))
    reports = list(run_chain(small_recipe(corpus, SPECIAL, AUGMENT), run, "pack"))
    assert [report.stage for report in reports if report.ran] == ["augment", "pack"]
    assert verify_run(run.uri) == []
    corpus_now = TokenizedCorpus.open(run)
    assert corpus_now.document_count > corpus_now.bucketed_count
    traced = (trace_pack(run.uri, number) for number in range(10**6))
    pieces = (piece for trace in traced for piece in trace.pieces if piece.transform)
    piece = next(pieces)
    sources = [part for part in piece.made_of if part.document_id]
    assert all(part.source and part.bytes and part.bytes.end > part.bytes.start for part in sources)
    paths = write_report(run.uri)
    told = json.loads(Path(paths.json).read_text())
    assert [one["name"] for one in told["transforms"]] == ["untie_knots", "interleave"]
    assert sum(one["rows"] for one in told["transforms"]) == corpus_now.document_count - corpus_now.bucketed_count
    assert "untie_knots" in Path(paths.html).read_text()
    assert sum(sum(domain["documents"]) for domain in told["lengths"]["domains"]) == corpus_now.bucketed_count

    again = list(run_chain(plain, run, "pack"))
    assert [report.stage for report in again if report.ran] == ["pack"]
    assert not Path(run.stage("augment").uri).exists()
    after = published_bytes(Path(run.uri))
    assert {name for name in after if name not in before} <= {
        name for name in after if "lineage" in name or "report" in name
    }
    assert all(after[name] == content for name, content in before.items())
    assert verify_run(run.uri) == []
