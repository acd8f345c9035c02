"""Cutting a giant text where its tokens do not notice.

Hugging Face's tokenizers take about 40 bytes of memory per byte of input (measured), so a 50 MB book would take 2 GB.
Most pre-tokenizers start a token at certain places whatever stands further left or right; a text cut there gives the
same ids piece by piece. Whether a place is safe is a property of the tokenizer, so each kind of place is tried on a
probe text when a tokenizer is loaded, and used only if cutting at all such places changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

PIECE_CHARACTERS = 1 << 17
"""A text longer than this is cut at the first safe place after so many characters."""

PLACES = (
    r"(?<=[a-z])(?= [A-Za-z])",  # after a word, before a space and the next word
    r"(?<=\S\n)(?=[^\W\d_])",  # at the start of a line that begins with a letter: Chinese has no spaces
)

Encode = Callable[[list[str]], list[list[int]]]
"""Texts to ids, without anything put before or after."""

_PROBE = """The quick brown fox, as well as the lazy dog, isn't on the other side of the river in the end. I'll see
what's next; they've won't don't can't. It's 3 apples, 42 pears and 1,024 plums (or 2nd-hand a b c) at the U.S. border.
def main(argument: int = 0) -> None:
    \"\"\"Return the value of the argument if it is set.\"\"\"
    for index in range(10):  # for each one of them
\t\tprint(index  if index else   None, end=" and so on")
x = y or z and not w;a b  c d   e
No one knows how to do this one of the most.At the same time, to be or not to be: that is the question of a life.
第一章 红楼梦的开始。
此开卷第一回也，作者自云 because the author says so 曾历过一番梦幻之后。
“你好”said Anna to the men and women。
http://example.org/a b/c?d=e f nothing at all
naïve café ünder the Straße é e\u0301 and o\u0308 so on
Ελληνικά καὶ the Greek \u05e2\u05d1\u05e8\u05d9\u05ea
한국어 문장 and the rest
the the the of the of the in the in a and a
and then

two blank lines\u3000ideographic\u00a0space \u200bzero
"""


def verified_places(encode: Encode, added_tokens: Sequence[str] = ()) -> re.Pattern[str] | None:
    """The places at which this tokenizer's texts may be cut, as a pattern of empty matches; None where there are none.

    ``added_tokens`` are those that the tokenizer looks for in plain text: one of them may reach over a place.
    """
    probe = _PROBE + "".join(f"word{token} word {token}word\n{token}\na {token} b\n" for token in added_tokens)
    [whole] = encode([probe])
    safe = [place for place in PLACES if _joined(encode, re.split(place, probe)) == whole]
    return re.compile("|".join(safe)) if safe else None


def cut(text: str, places: re.Pattern[str] | None, piece_characters: int = PIECE_CHARACTERS) -> list[str]:
    """The text in pieces of at least ``piece_characters`` (but the last), cut at safe places; whole without any."""
    if places is None or len(text) <= piece_characters:
        return [text]
    pieces, start = [], 0
    while place := places.search(text, start + piece_characters):
        pieces.append(text[start : place.start()])
        start = place.start()
    pieces.append(text[start:])
    return pieces


def _joined(encode: Encode, pieces: list[str]) -> list[int]:
    return [token for ids in encode(pieces) for token in ids]
