"""Words as Python strings: for code of others that wants lists of words, and the plain statement of what a word is."""

from __future__ import annotations

from lc_data.text.characters import SPACE, UNSPACED, WORD, character_classes, lower_case


def list_spaced_words(text: str) -> list[str]:
    """What stands between white space, each Han or kana character a word of its own."""
    classes = character_classes()
    words: list[str] = []
    inside = False
    for character in text:
        kind = classes[ord(character)]
        if kind & (SPACE | UNSPACED):
            inside = False
            if kind & UNSPACED:
                words.append(character)
        elif inside:
            words[-1] += character
        else:
            words.append(character)
            inside = True
    return words


def list_content_words(text: str) -> list[str]:
    """Runs of letters, digits and marks in lower case, each Han or kana character a word of its own."""
    classes, lower = character_classes(), lower_case()
    words: list[str] = []
    inside = False
    for character in text:
        kind = classes[ord(character)]
        if kind & WORD and not kind & UNSPACED:
            lowered = chr(lower[ord(character)])
            if inside:
                words[-1] += lowered
            else:
                words.append(lowered)
            inside = True
        else:
            inside = False
            if kind & UNSPACED:
                words.append(character)
    return words
