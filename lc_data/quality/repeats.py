"""The kernels behind the repetition rules: what in a text occurred before."""

from __future__ import annotations

import numpy as np

from lc_data.text.characters import SPACE, UNSPACED
from lc_data.text.compile import Bytes, Counts, Flags, Hashes, Numbers, kernel
from lc_data.text.hash_table import find_slot, grow, is_crowded
from lc_data.text.words import BLOCK_WORDS, code_point, mix64, skip_space, spaced_words

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x00000100000001B3)
_ONE = np.uint64(1)
_HALF = np.uint64(32)
_FIRST_SLOTS = 256
_FEW = 1 << 17
_WORD_BITS, _LAST_BIT = np.uint64(6), np.uint64(63)
_NEW_LINE = 10


@kernel
def duplicate_paragraphs(data: Bytes, offsets: Counts, classes: Bytes, out: Counts) -> None:
    """Per row: paragraphs (parted by empty lines), those that occurred before, and their characters."""
    for row in range(len(offsets) - 1):
        start = skip_space(data, offsets[row], offsets[row + 1], classes)
        end = start
        at = start
        while at < offsets[row + 1]:
            point, width = code_point(data, at)
            at += width
            if not classes[point] & SPACE:
                end = at
        _duplicate_segments(data[start:end], 2, out[row])


@kernel
def duplicate_lines(data: Bytes, offsets: Counts, out: Counts) -> None:
    """Per row: lines (empty ones left out), those that occurred before, their characters, and all characters."""
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        _duplicate_segments(text, 1, out[row])
        for byte in text:
            out[row, 3] += byte & 0xC0 != 0x80


@kernel
def _duplicate_segments(text: Bytes, least_new_lines: int, out: Counts) -> None:
    """Segments parted by at least so many line ends: their number, the number and characters of repeated ones.

    Only whole separators may stand at the end of the text, so paragraphs are given stripped.
    """
    keys, numbers = np.zeros(_FIRST_SLOTS, np.uint64), np.zeros(_FIRST_SLOTS, np.uint32)
    used = 0
    at, size = 0, len(text)
    value, chars = _SEED, 0
    while True:
        run = 0
        while at + run < size and text[at + run] == _NEW_LINE:
            run += 1
        if at + run < size and run < least_new_lines:
            # Part of the segment: a lone line end inside a paragraph, or any other byte.
            stop = at + max(run, 1)
            while at < stop:
                value = (value ^ np.uint64(text[at])) * _PRIME
                chars += text[at] & 0xC0 != 0x80
                at += 1
            continue
        if is_crowded(used, keys):
            keys, numbers = grow(keys, numbers)
        key = mix64(value) | _ONE
        slot = find_slot(keys, key)
        out[0] += 1
        if keys[slot] == key:
            out[1] += 1
            out[2] += chars
        else:
            keys[slot] = key
            used += 1
        if run == 0:
            return
        at += run
        value, chars = _SEED, 0


@kernel
def ngram_chars(data: Bytes, offsets: Counts, classes: Bytes, tops: Counts, duplicates: Counts) -> None:
    """For each row and n (columns 2 and up): characters of the commonest n-gram, and of n-grams that occurred before.

    The commonest counts one space between words and is multiplied by its count, the earliest of equals; those that
    occurred before are read from the left without overlap and without spaces, as in the published code. Where most
    words are single Han or kana characters, n counts pairs of them, and no space stands between.
    """
    for row in range(len(offsets) - 1):
        words, word_lengths, unspaced = _number_words(data[offsets[row] : offsets[row + 1]], classes)
        scale = 2 if 2 * unspaced > len(words) else 1
        # Where an n-gram may start that occurs twice, and the number of the (n-1)-gram that starts there.
        starts, grams, likely = _repeated_pairs(words)
        for n in range(2, scale * (tops.shape[1] - 1) + 1):
            if len(words) < n:
                break
            if n > 2 and len(starts) > _FEW:
                count, likely = _keep_likely(starts, grams, words, n)
                starts, grams = starts[:count], grams[:count]
            count, different = _number_ngrams(starts, grams, words, n, likely)
            likely = 0
            starts, grams = starts[:count], grams[:count]
            counts = np.zeros(different, np.uint32)
            for gram in grams:
                counts[gram] += np.uint32(1)
            if n % scale == 0:
                chars, most = _commonest(starts, grams, counts, words, word_lengths, n)
                tops[row, n // scale] = (chars + (n - 1 if scale == 1 else 0)) * most
            count = _keep_repeated(starts, grams, counts)
            starts, grams = starts[:count], grams[:count]
            if n % scale == 0:
                seen = np.zeros(different, np.bool_)
                duplicates[row, n // scale] = _repeated_chars(starts, grams, seen, words, word_lengths, n)


@kernel
def _repeated_pairs(words: Numbers) -> tuple[Numbers, Numbers, int]:
    """Where pairs of words begin that may occur twice, and the word that begins there; in a short text all.

    Also returns about how many different pairs these are; 0 in a short text.
    """
    starts, grams = np.empty(len(words), np.uint32), np.empty(len(words), np.uint32)
    if len(words) <= _FEW:
        for start in range(len(words)):
            starts[start], grams[start] = np.uint32(start), words[start]
        return starts, grams, 0
    seen, again = _marks(len(words))
    likely = 0
    for start in range(len(words) - 1):
        likely += _see(_pair(words[start], words[start + 1]), seen, again)
    count = 0
    for start in range(len(words) - 1):
        if _was_seen_again(_pair(words[start], words[start + 1]), again):
            starts[count], grams[count] = np.uint32(start), words[start]
            count += 1
    return starts[:count], grams[:count], likely


@kernel
def _keep_likely(starts: Numbers, grams: Numbers, words: Numbers, n: int) -> tuple[int, int]:
    """Move the (n-1)-grams whose n-grams may occur twice to the front; how many, and about how many n-grams differ."""
    seen, again = _marks(len(starts))
    count = likely = 0
    while count < len(starts) and np.int64(starts[count]) + n <= len(words):
        likely += _see(_pair(grams[count], words[starts[count] + n - 1]), seen, again)
        count += 1
    kept = 0
    for index in range(count):
        if _was_seen_again(_pair(grams[index], words[starts[index] + n - 1]), again):
            starts[kept], grams[kept] = starts[index], grams[index]
            kept += 1
    return kept, likely


@kernel
def _pair(first: np.uint32, second: np.uint32) -> np.uint64:
    """Two numbers as a key. They are below 2^32 - 1, so the key is never 0 and never ambiguous."""
    return (np.uint64(first) << _HALF | np.uint64(second)) + _ONE


@kernel
def _marks(keys: int) -> tuple[Hashes, Hashes]:
    """Two bits for each of four or more hashes a key, seen and seen again.

    Most n-grams of a long text occur once, and their bits say so: they need no place in a table, which is what took 300
    MB for 50 MB of prose.
    """
    size = 1024
    while size < 4 * keys:
        size *= 2
    return np.zeros(size // 64, np.uint64), np.zeros(size // 64, np.uint64)


@kernel
def _see(key: np.uint64, seen: Hashes, again: Hashes) -> bool:
    """Mark a key; whether this is the second time."""
    place = mix64(key)
    word = (place >> _WORD_BITS) & np.uint64(len(seen) - 1)
    bit = _ONE << (place & _LAST_BIT)
    second = seen[word] & bit & ~again[word]
    again[word] |= second
    seen[word] |= bit
    return second != 0


@kernel
def _was_seen_again(key: np.uint64, again: Hashes) -> bool:
    place = mix64(key)
    return again[(place >> _WORD_BITS) & np.uint64(len(again) - 1)] >> (place & _LAST_BIT) & _ONE != 0


@kernel
def _number_words(text: Bytes, classes: Bytes) -> tuple[Numbers, Counts, int]:
    """The text as word numbers in order of first sight, the length of each different word, and how many are Han."""
    hashes = np.empty(BLOCK_WORDS, np.uint64)
    lengths = np.empty(BLOCK_WORDS, np.int64)
    kinds = np.empty(BLOCK_WORDS, np.uint8)
    keys, numbers = np.zeros(_FIRST_SLOTS, np.uint64), np.zeros(_FIRST_SLOTS, np.uint32)
    # As many as a text of so many bytes can have; memory is taken only where it is written.
    words = np.empty(len(text) // 2 + 1, np.uint32)
    word_lengths = np.empty(_FIRST_SLOTS, np.int64)
    used, total, unspaced, at = 0, 0, 0, 0
    while at < len(text):
        at, count = spaced_words(text, at, classes, hashes, lengths, kinds)
        for index in range(count):
            unspaced += kinds[index] & UNSPACED != 0
            if is_crowded(used, keys):
                keys, numbers = grow(keys, numbers)
                wider_lengths = np.empty(len(keys), np.int64)
                wider_lengths[:used] = word_lengths[:used]
                word_lengths = wider_lengths
            key = hashes[index] | _ONE
            slot = find_slot(keys, key)
            if keys[slot] == 0:
                keys[slot] = key
                numbers[slot] = np.uint32(used)
                word_lengths[used] = lengths[index]
                used += 1
            words[total + index] = numbers[slot]
        total += count
    return words[:total], word_lengths[:used], unspaced


@kernel
def _number_ngrams(starts: Numbers, grams: Numbers, words: Numbers, n: int, likely: int) -> tuple[int, int]:
    """From the numbers of (n-1)-grams to those of n-grams, in place; returns how many there are and how many different.

    The last start falls away when the text ends before the n-gram does. A table that begins with room for the likely
    number of n-grams need not grow, when the old one and the new one lie in memory side by side.
    """
    slots = _FIRST_SLOTS
    while 10 * likely >= 7 * slots:
        slots *= 2
    keys, numbers = np.zeros(slots, np.uint64), np.empty(slots, np.uint32)
    used, count = 0, 0
    for index in range(len(starts)):
        last = np.int64(starts[index]) + n - 1
        if last >= len(words):
            break
        if is_crowded(used, keys):
            keys, numbers = grow(keys, numbers)
        key = _pair(grams[index], words[last])
        slot = find_slot(keys, key)
        if keys[slot] == 0:
            keys[slot] = key
            numbers[slot] = np.uint32(used)
            used += 1
        grams[index] = numbers[slot]
        count += 1
    return count, used


@kernel
def _keep_repeated(starts: Numbers, grams: Numbers, counts: Numbers) -> int:
    """Move the n-grams that occur twice to the front; returns how many they are."""
    kept = 0
    for index in range(len(starts)):
        if counts[grams[index]] > 1:
            starts[kept], grams[kept] = starts[index], grams[index]
            kept += 1
    return kept


@kernel
def _commonest(
    starts: Numbers, grams: Numbers, counts: Numbers, words: Numbers, word_lengths: Counts, n: int
) -> tuple[int, int]:
    """Characters of the commonest n-gram and its count; where none occurs twice, of the first one."""
    best, most = 0, np.uint32(1)
    for number in range(len(counts)):
        if counts[number] > most:
            best, most = number, counts[number]
    start = 0
    if most > 1:
        index = 0
        while grams[index] != best:
            index += 1
        start = int(starts[index])
    chars = 0
    for word in words[start : start + n]:
        chars += word_lengths[word]
    return chars, int(most)


@kernel
def _repeated_chars(starts: Numbers, grams: Numbers, seen: Flags, words: Numbers, word_lengths: Counts, n: int) -> int:
    """Characters of n-grams that occurred before, from the left, without overlap."""
    chars, free = 0, 0
    for index in range(len(starts)):
        start = int(starts[index])
        if start < free:
            continue
        if seen[grams[index]]:
            for word in words[start : start + n]:
                chars += word_lengths[word]
            free = start + n
        else:
            seen[grams[index]] = True
    return chars
