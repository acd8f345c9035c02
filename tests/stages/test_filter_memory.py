"""How much memory a long document takes in the filter, whatever its words are.

Prose, Chinese, a vocabulary of which every pair comes again, and words of which none does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lc_data.bench.memory import peak_above
from lc_data.quality.gopher_repetition import measure_gopher_repetition
from lc_data.quality.ngrams import Limits
from tests.stages.ingested import publish

DOCUMENT_BYTES = 50_000_000
MAX_RSS_BYTES = 500_000_000
TOP, DUPLICATE = (2, 3, 4), range(5, 11)

_FILTER_AND_MEASURE = """
import sys
from lc_data.bench.memory import peak_bytes
from lc_data.corpus.run import RunFolder
from lc_data.stages.filter import STAGE
from tests.stages.ingested import bring
report = bring(STAGE, RunFolder(sys.argv[1]), *sys.argv[2:])
print("KEPT", report.manifest.ledger.kept().bytes)
print("PEAK", peak_bytes())
"""
WINDOWS = "windows: {max_failed: 1}"
LENIENT = f"""filter.rules=[
  {{rule: length, min_bytes: 5}},
  {{rule: language}},
  {{rule: gopher_quality, min_words: 1, min_stop_words: 0, min_alpha_words_ratio: 0.1, max_mean_word_length: 99,
    {WINDOWS}}},
  {{rule: gopher_repetition, max_duplicate_lines: 1, max_duplicate_line_chars: 1, max_duplicate_paragraphs: 1,
    max_duplicate_paragraph_chars: 1, max_top_ngram_chars: {{2: 1, 3: 1, 4: 1}},
    max_duplicate_ngram_chars: {{5: 1, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1}}, {WINDOWS}}},
  {{rule: fineweb, min_stop_lines_ratio: 0, max_short_lines_ratio: 1, max_duplicate_line_chars_ratio: 1,
    max_new_lines_per_word: 10, {WINDOWS}}},
  {{rule: bounds, measure: digits, per: chars, max: 0.9}},
  {{rule: coherence}}]"""
"""Every native rule, and none that spares the next one the document."""


def ranked(count: int, kinds: int, exponent: float) -> np.ndarray:
    """Ranks of so many words, as frequent as Zipf has it: int64[count]."""
    weights = np.cumsum((np.arange(kinds) + 2.7) ** -exponent)
    return np.searchsorted(weights / weights[-1], np.random.default_rng(0).random(count))


def prose(size: int) -> str:
    """Two in three words begin a pair that occurs more than once; common words are short."""
    spelt = [np.base_repr(rank, 3).translate(str.maketrans("012", "eta")) for rank in range(1_000_000)]
    return in_lines([spelt[rank] for rank in ranked(size // 4, len(spelt), 1.2).tolist()], " ", size)


def chinese(size: int) -> str:
    """Every character is a word: 16 million of them in 50 MB."""
    characters = np.array([chr(0x4E00 + number) for number in range(6000)])
    return in_lines(characters[ranked(size // 3, 6000, 1.0)].tolist(), "", size)


def dense(size: int) -> str:
    """Short words of a small vocabulary: pairs of all kinds, nearly all of them more than once."""
    return in_lines([f"{number:x}" for number in ranked(size // 3, 2000, 0.0).tolist()], " ", size)


def distinct(size: int) -> str:
    """No word comes twice."""
    return in_lines([np.base_repr(number, 36) for number in range(size // 4)], " ", size)


TEXTS = [prose, chinese, dense, distinct]


def in_lines(words: list[str], space: str, size: int) -> str:
    ends = ["\n\n" if line % 8 == 7 else "\n" for line in range(len(words) // 12 + 1)]
    lines = (space.join(words[line * 12 : line * 12 + 12]) + "." + end for line, end in enumerate(ends))
    text = "".join(lines).encode()
    assert len(text) >= size
    return text[:size].decode(errors="ignore")


@pytest.mark.parametrize("text", TEXTS)
def test_repetition_takes_a_few_bytes_for_each_byte_of_text(text):
    size = 4_000_000
    column = pa.array([text(size)], pa.large_string())
    # As in a document twelve times as large, for which the limits are.
    limits = Limits(few_places=1 << 14, large_text_bytes=1 << 20, part=50_000)
    measure_gopher_repetition(column.slice(0, 0), TOP, DUPLICATE, limits)
    assert peak_above(lambda: measure_gopher_repetition(column, TOP, DUPLICATE, limits)) < 3 * size


def peak_of(run: Path, size: int) -> int:
    command = [sys.executable, "-c", _FILTER_AND_MEASURE, str(run), LENIENT, "filter.gzip_band={min_documents: 1}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(printed.split("KEPT")[1].split()[0]) == size, "a rule that drops the document spares the next ones"
    return int(printed.split("PEAK")[1])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("text", TEXTS)
def test_a_document_of_50_mb_is_filtered_in_500_mb(text, tmp_path):
    publish(tmp_path / "short", [{"id": "short", "text": prose(400_000)}])
    assert peak_of(tmp_path / "short", 400_000) > 100_000_000, "the kernels are compiled; a whole process is measured"
    long = text(DOCUMENT_BYTES)
    publish(tmp_path / "long", [{"id": "long", "text": long}])
    assert peak_of(tmp_path / "long", len(long.encode())) < MAX_RSS_BYTES
