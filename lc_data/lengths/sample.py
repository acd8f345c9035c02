"""A sample of documents that depends on their ids alone: those with the smallest keys, up to a number of bytes.

Any worker can sample its own part: the sample of all parts' samples is the sample of the whole.
"""

from __future__ import annotations

from typing import NamedTuple

WINDOW_CHARACTERS = 1 << 15
"""What one document gives at most, from a place that its key picks: a few books must not be the whole sample."""


class Sampled(NamedTuple):
    """One document's window. Sorting by the fields in their order is the sample's order."""

    key: int
    id: str
    text: str


class Sample:
    """Collects documents in any order; holds at most about twice ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._documents: list[tuple[Sampled, int]] = []
        self._bytes = 0
        self._last_key: int | None = None

    def offer(self, key: int, document_id: str, text: str) -> None:
        """Consider a document; ``key`` is a 64-bit hash of its id."""
        if self._last_key is not None and key > self._last_key:
            return
        document = Sampled(key, document_id, window(text, key))
        size = len(document.text.encode())
        self._documents.append((document, size))
        self._bytes += size
        if self._bytes > 2 * self._max_bytes:
            self._prune()

    def documents(self) -> list[Sampled]:
        """The sample so far, ordered by key: whole windows, up to the one that reaches ``max_bytes``."""
        self._prune()
        return [document for document, _ in self._documents]

    def texts(self) -> list[str]:
        """The windows in order, the last one cut so that together they have at most ``max_bytes``."""
        texts = [document.text for document in self.documents()]
        if self._bytes > self._max_bytes:
            last = texts[-1].encode()
            texts[-1] = last[: len(last) - (self._bytes - self._max_bytes)].decode(errors="ignore")
        return texts

    def _prune(self) -> None:
        """Keep the smallest keys up to the first document that reaches the limit: no later one is in the sample."""
        self._documents.sort()
        total = 0
        for number, (document, size) in enumerate(self._documents):
            total += size
            if total >= self._max_bytes:
                del self._documents[number + 1 :]
                self._last_key = document.key
                break
        self._bytes = total


def window(text: str, key: int) -> str:
    """At most ``WINDOW_CHARACTERS`` of a text, from a place that the key picks."""
    start = key % max(1, len(text) - WINDOW_CHARACTERS + 1)
    return text[start : start + WINDOW_CHARACTERS]
