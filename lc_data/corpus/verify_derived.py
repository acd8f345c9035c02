"""Verification of derived documents: made again from their parts, token by token, and nothing of a source lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lc_data.augment.parts import ROLES, SOURCE, KnotTokens, Parts, target_spans, write_tokens
from lc_data.corpus.derived import PartsTable, knot_tokens
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import INDEX_FILE, TokenizedCorpus, TokenizedError
from lc_data.corpus.verify_files import Problem
from lc_data.corpus.verify_tokens import verify_shard


def verify_derived(run: RunFolder) -> Iterator[Problem]:
    """Compare every shard with its index and its parts; what a part says is read again from the source."""
    folder = run.stage("augment")
    manifest = folder.manifest()
    knots = knot_tokens(manifest)
    try:
        corpus = TokenizedCorpus.open(run)
    except TokenizedError as error:
        yield INDEX_FILE, str(error)
        return
    first = corpus.bucketed_count
    for entry in manifest.shards:
        if entry.facts["first_document"] != first:
            yield entry.file, f"begins with document {first}, the manifest says {entry.facts['first_document']}"
            return
        number, _ = corpus.locate(first)
        try:
            shard = corpus.shard(number)
        except TokenizedError as error:
            yield entry.file, str(error)
            return
        yield from ((entry.file, problem) for problem in verify_shard(corpus, shard, first))
        table = PartsTable(folder, entry.file)
        for row in range(entry.rows):
            for problem in _verify_document(corpus, first + row, table.of(row), knots):
                yield entry.file, f"document {shard.id(row)!r} {problem}"
                return
        first += entry.rows


def _verify_document(corpus: TokenizedCorpus, document: int, parts: Parts, knots: KnotTokens | None) -> Iterator[str]:
    sources = parts.take(parts.role == SOURCE)
    if len(parts.role) == 0 or int(parts.role.max()) >= len(ROLES):
        yield "has no parts, or one with an unknown role"
        return
    if (sources.source < 0).any() or (sources.source >= corpus.bucketed_count).any():
        yield "has a part of a document that is not in the corpus"
        return
    if (corpus.domain[sources.source] != corpus.domain[document]).any():
        yield "has a part of a document of another domain"
    if int(parts.length.sum()) != int(corpus.length[document]):
        yield f"has {corpus.length[document]} tokens, and its parts {int(parts.length.sum())}"
        return
    stored = corpus.tokens(document)
    made = np.empty_like(stored)
    try:
        write_tokens(parts, corpus.tokens, knots, made)
    except ValueError as error:
        yield f"cannot be made from its parts again: {error}"
        return
    if not np.array_equal(made, stored):
        yield f"has other tokens than its parts, from token {int((made != stored).argmax())} on"
    spans, wanted = corpus.target_spans(document), target_spans(parts)
    if (None if spans is None else list(map(tuple, spans.tolist()))) != wanted:
        yield "has loss elsewhere than its parts say"
    if not _is_whole(sources, corpus.length):
        yield "does not hold every token of its documents once, in their order"


def _is_whole(sources: Parts, length: npt.NDArray[np.uint32]) -> bool:
    """Whether the parts of each document, in their order, are the document; one that is drawn twice may be in twice."""
    order = np.lexsort((np.arange(len(sources.source)), sources.source))
    document, start, tokens = sources.source[order], sources.start[order], sources.length[order].astype(np.int64)
    for number in np.unique(document).tolist():
        mine = document == number
        ends = start[mine] + tokens[mine]
        copies = int((start[mine] == 0).sum())
        if int(tokens[mine].sum()) != copies * int(length[number]) or int(ends.max()) != int(length[number]):
            return False
        if copies == 1 and not np.array_equal(start[mine][1:], ends[:-1]):
            return False
    return True
