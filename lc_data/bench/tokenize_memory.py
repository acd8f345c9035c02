"""What encoding one long text takes in memory, in a process of its own.

Run as ``python -m lc_data.bench.tokenize_memory SIDE TOKENIZER TEXT``, SIDE being ``ours`` or ``theirs``; the last line
printed is the number of bytes above what the process held with tokenizer and text loaded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer

from lc_data.bench.memory import peak_above
from lc_data.failure import Failure
from lc_data.lengths.tokenizer import DocumentTokenizer


def measure_memory(side: str, tokenizer: Path, text: Path) -> int:
    """Bytes that encoding the text takes at its peak."""
    command = [sys.executable, "-m", "lc_data.bench.tokenize_memory", side, str(tokenizer), str(text)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"measuring the memory of {side} failed:\n{done.stderr[-2000:]}")
    return int(done.stdout.splitlines()[-1])


def _main(side: str, tokenizer: str, text: str) -> None:
    definition, content = Path(tokenizer).read_text(), Path(text).read_text()
    if side == "ours":
        ours = DocumentTokenizer(definition, None, None)
        ours.encode(["warm"])
        size = peak_above(lambda: ours.encode([content]))
    else:
        theirs = Tokenizer.from_str(definition)
        theirs.encode_special_tokens = True
        theirs.encode_batch_fast(["warm"], add_special_tokens=False)
        size = peak_above(lambda: theirs.encode_batch_fast([content], add_special_tokens=False))
    sys.stdout.write(f"{size}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
