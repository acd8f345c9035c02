"""The kernel behind the n-gram rules: which n-grams of a text occur before, and which is the commonest.

A word that occurs once is in no n-gram that occurs twice, and an n-gram occurs twice only where both (n-1)-grams in it
do. So each position of the text holds one number, that of the n-gram that begins there, or 0 once it is known to occur
once; from one n to the next a number is that of the pair (here, next place). After two or three lengths hardly a place
of ordinary text is looked at again.

Memory is bounded by the bytes of the text, whatever they are: 5 bytes a word. A long text takes 4 to 8 bits a word
more, which tell what occurs once before it gets a place in a table, and 4 bytes for each n-gram that occurs twice; the
table takes at most so many n-grams at a time, and longer lists are numbered in parts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lc_data.text.characters import UNSPACED
from lc_data.text.compile import Bytes, Counts, Flags, Hashes, Numbers, kernel
from lc_data.text.hash_table import make_room, number_keys
from lc_data.text.words import mix64, spaced_words

_ONE = np.uint64(1)
_HALF = np.uint64(32)
_WORD_BITS, _LAST_BIT = np.uint64(6), np.uint64(63)
_FIRST_SLOTS = 256
_WORDS = 1024
"""Words taken at a time, few enough for what is known of them to stay in the nearest cache."""
_BLOCK = 64
"""Places that are left out together once nothing in them occurs twice."""
_LONG = 255


class Limits(NamedTuple):
    """From where on less memory is worth more time. The counts are the same whatever they are."""

    few_places: int = 1 << 17
    """More places than these are marked first: two passes that keep what occurs once out of the table."""
    large_text_bytes: int = 8 << 20
    """In a text of this size words are marked, too."""
    part: int = 600_000
    """About how many different n-grams the table holds at a time."""


@kernel
def ngram_chars(data: Bytes, offsets: Counts, classes: Bytes, wanted: Flags, limits: Limits, out: Counts) -> None:
    """Characters of the commonest n-gram, times its count, and of n-grams that occurred before: int64[rows, 2, n + 1].

    The commonest counts one space between words; it is the earliest of equals, or the first n-gram where none occurs
    twice. Those that occurred before, for each n that is ``wanted``, are read from the left without overlap and without
    spaces, as in the published code. Where most words are single Han or kana characters, n counts pairs of them, and
    no space stands between.
    """
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        grams, lengths, long_words, unspaced = _number_words(text, classes, limits)
        words = len(lengths)
        scale = 2 if 2 * unspaced > words else 1
        alive = np.ones(words // _BLOCK + 1, np.bool_)
        left = words
        for column in range(2 // scale, out.shape[2]):
            n = scale * column
            if n > words:
                break
            most, first, different = 1, 0, 0
            if left:
                # Two (n-2)-grams two places apart are an n-gram as well: lengths that nobody asks for are left out.
                left, most, first, different = _lengthen(grams, alive, left, scale if n > 2 else 1, limits)
            chars = _count_chars(lengths, long_words, first, n)
            out[row, 0, column] = (chars + (n - 1 if scale == 1 else 0)) * most
            if left and wanted[column]:
                seen = np.zeros(different + 1, np.bool_)
                out[row, 1, column] = _repeated_chars(grams, alive, seen, lengths, long_words, n)


@kernel
def _number_words(text: Bytes, classes: Bytes, limits: Limits) -> tuple[Numbers, Bytes, Counts, int]:
    """The text as numbers of words from 1, and a 0 at the end; the length of each word; the long ones; Han words.

    A length of ``_LONG`` stands in the list of long ones: place and length in turn. In a large text the number of a
    word that occurs once may be 0.
    """
    # As many as a text of so many bytes can have; memory is taken only where it is written.
    grams, lengths = np.empty(len(text) // 2 + 2, np.uint32), np.empty(len(text) // 2 + 1, np.uint8)
    parts, again = 1, np.zeros(0, np.uint64)
    if len(text) >= limits.large_text_bytes:
        likely, again = _mark_words(text, classes)
        parts += likely // limits.part
    long_words = np.empty(0, np.int64)
    total = unspaced = used = 0
    for part in range(parts):
        total, unspaced, used, long_words = _number_part(text, classes, (part, parts, used), again, (grams, lengths))
    grams[total] = 0
    return grams[: total + 1], lengths[:total], long_words, unspaced


@kernel
def _mark_words(text: Bytes, classes: Bytes) -> tuple[int, Hashes]:
    """About how many different words occur twice, and the marks of those that do."""
    hashes, lengths = np.empty(_WORDS, np.uint64), np.empty(_WORDS, np.int64)
    kinds = np.empty(_WORDS, np.uint8)
    seen, again = _marks(len(text) // 4)
    likely = at = 0
    while at < len(text):
        at, count = spaced_words(text, at, classes, hashes, lengths, kinds)
        for index in range(count):
            likely += _see(hashes[index] | _ONE, seen, again)
    return likely, again


@kernel
def _number_part(
    text: Bytes, classes: Bytes, part: tuple[int, int, int], again: Hashes, out: tuple[Numbers, Bytes]
) -> tuple[int, int, int, Counts]:
    """Number the words of one part, ``(part, parts, numbers given before)``, by their hashes.

    Returns how many words there are, how many are Han, how many numbers are given now, and the long words.
    """
    hashes, chars = np.empty(_WORDS, np.uint64), np.empty(_WORDS, np.int64)
    kinds, places = np.empty(_WORDS, np.uint8), np.empty(_WORDS, np.int64)
    slots, found = np.empty(_WORDS, np.uint64), np.empty(_WORDS, np.uint32)
    keys, numbers = np.zeros(_FIRST_SLOTS, np.uint64), np.empty(_FIRST_SLOTS, np.uint32)
    grams, lengths = out
    long_words, long_count = np.empty(16, np.int64), 0
    number, parts, before = part
    total = unspaced = used = at = 0
    while at < len(text):
        at, count = spaced_words(text, at, classes, hashes, chars, kinds)
        for index in range(count):
            unspaced += kinds[index] & UNSPACED != 0
            lengths[total + index] = min(chars[index], _LONG)
            hashes[index] |= _ONE
            if chars[index] >= _LONG:
                if long_count == len(long_words):
                    long_words = np.append(long_words, long_words)
                long_words[long_count], long_words[long_count + 1] = total + index, chars[index]
                long_count += 2
        if len(again) == 0:
            keys, numbers = make_room(used, count, keys, numbers)
            used = number_keys(hashes[:count], used, keys, numbers, slots, found)
            for index in range(count):
                grams[total + index] = np.uint32(before + 1) + found[index]
        else:
            if number == 0:
                grams[total : total + count] = 0
            for index in range(count):
                places[index] = total + index
            kept = _keep_likely(hashes, places, count, again, number, parts)
            keys, numbers = make_room(used, kept, keys, numbers)
            used = number_keys(hashes[:kept], used, keys, numbers, slots, found)
            for index in range(kept):
                grams[places[index]] = np.uint32(before + 1) + found[index]
        total += count
    return total, unspaced, before + used, long_words[:long_count]


@kernel
def _lengthen(grams: Numbers, alive: Flags, left: int, step: int, limits: Limits) -> tuple[int, int, int, int]:
    """From the numbers of (n-1)-grams to those of n-grams, 0 where one occurs once; ``alive`` in step.

    Returns at how many places one begins that occurs twice, the count of the commonest (1 where none does) and its
    first place, and how many numbers there are.
    """
    likely, again, parts, base = left, np.zeros(0, np.uint64), 1, 0
    if left > limits.few_places:
        likely, again = _mark_pairs(grams, alive, left, step)
        parts += likely // limits.part
    # In parts, a place whose n-gram has its new number already is still read by others for its old one: new numbers
    # are then greater than all old ones, and from each the old one is known.
    old = np.empty(left + 1 if parts > 1 else 0, np.uint32)
    if parts > 1:
        base = int(grams.max())
    room = _FIRST_SLOTS
    while 7 * room < 10 * (likely // parts + 1):
        room *= 2
    left, most, first, given = 0, 1, 0, 0
    for number in range(parts):
        counts = _number_pairs(grams, alive, again, (number, parts, base, given, room, step), old)
        kept, part_most, part_first = _keep_repeated(grams, alive, counts, base + given, old[given:])
        if part_most > most or (part_most == most > 1 and part_first < first):
            most, first = part_most, part_first
        left += kept
        given += len(counts)
    _settle(grams, alive, base)
    return left, most, first, given


@kernel
def _mark_pairs(grams: Numbers, alive: Flags, left: int, step: int) -> tuple[int, Hashes]:
    """About how many different pairs occur twice, and the marks of those that do."""
    seen, again = _marks(left)
    likely = 0
    for block in range(len(alive)):
        if alive[block]:
            for place in range(block * _BLOCK, min((block + 1) * _BLOCK, len(grams) - step)):
                if grams[place] and grams[place + step]:
                    likely += _see(_pair(grams[place], grams[place + step]), seen, again)
    return likely, again


@kernel
def _number_pairs(
    grams: Numbers, alive: Flags, again: Hashes, part: tuple[int, int, int, int, int, int], old: Numbers
) -> Numbers:
    """Number the pairs of one part, in place; the count of each.

    ``part`` is its number, the number of parts, the greatest old number, how many new ones are given, the slots of the
    table, and how far apart the two of a pair are. In the only part a place without a pair gets 0.
    """
    number, parts, base, given, room, step = part
    keys, numbers, counts = np.zeros(room, np.uint64), np.empty(room, np.uint32), np.zeros(room, np.uint32)
    pairs, places = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.int64)
    slots, found = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint32)
    used = 0
    for block in range(len(alive)):
        if not alive[block]:
            continue
        count = 0
        low, high = block * _BLOCK, min((block + 1) * _BLOCK, len(grams) - step)
        for place in range(low, high):
            first, second = grams[place], grams[place + step]
            if parts > 1:
                first, second = _as_it_was(first, base, old), _as_it_was(second, base, old)
            pairs[count], places[count] = _pair(first, second), place
            count += (first != 0) & (second != 0)
        if parts == 1:
            grams[low : low + _BLOCK] = 0
        if parts > 1 or len(again):
            count = _keep_likely(pairs, places, count, again, number, parts)
        keys, numbers = make_room(used, count, keys, numbers)
        if len(counts) < len(keys):
            counts = np.append(counts, np.zeros(len(keys) - len(counts), np.uint32))
        used = number_keys(pairs[:count], used, keys, numbers, slots, found)
        for index in range(count):
            counts[found[index]] += np.uint32(1)
            grams[places[index]] = np.uint32(base + given + 1) + found[index]
            if parts > 1:
                old[given + found[index]] = np.uint32(pairs[index] >> _HALF)
    return counts[:used]


@kernel
def _as_it_was(number: np.uint32, base: int, old: Numbers) -> np.uint32:
    """The old number of a place, whether or not it has its new one."""
    return old[number - np.uint32(base + 1)] if number > base else number


@kernel
def _keep_likely(pairs: Hashes, places: Counts, count: int, again: Hashes, number: int, parts: int) -> int:
    """Move the pairs of a part that may occur twice to the front; how many."""
    kept = 0
    for index in range(count):
        if (parts == 1 or _part_of(pairs[index], parts) == number) and (
            not len(again) or _was_seen_again(pairs[index], again)
        ):
            pairs[kept], places[kept] = pairs[index], places[index]
            kept += 1
    return kept


@kernel
def _keep_repeated(grams: Numbers, alive: Flags, counts: Numbers, before: int, old: Numbers) -> tuple[int, int, int]:
    """Where an n-gram of a part occurs once, put the old number back, or 0 in the only part.

    Returns at how many places one begins that occurs twice, the count of the commonest (1 where none does), and where.
    """
    kept, most, first = 0, np.uint32(1), 0
    low = np.uint32(before + 1)
    for block in range(len(alive)):
        if not alive[block]:
            continue
        for place in range(block * _BLOCK, min((block + 1) * _BLOCK, len(grams) - 1)):
            number = grams[place]
            if number < low:
                continue
            count = counts[number - low]
            if count == 1:
                grams[place] = old[number - low] if len(old) else np.uint32(0)
                continue
            kept += 1
            if count > most:
                most, first = count, place
    return kept, int(most), first


@kernel
def _settle(grams: Numbers, alive: Flags, base: int) -> None:
    """Numbers begin with 1 again, 0 where there is none above ``base``; blocks without any are left out from now on."""
    for block in range(len(alive)):
        if alive[block]:
            any_left = False
            for place in range(block * _BLOCK, min((block + 1) * _BLOCK, len(grams) - 1)):
                number = grams[place]
                grams[place] = number - np.uint32(base) if number > base else np.uint32(0)
                any_left |= number > base
            alive[block] = any_left


@kernel
def _repeated_chars(grams: Numbers, alive: Flags, seen: Flags, lengths: Bytes, long_words: Counts, n: int) -> int:
    """Characters of n-grams that occurred before, from the left, without overlap."""
    chars = free = 0
    for block in range(len(alive)):
        if not alive[block]:
            continue
        for place in range(max(block * _BLOCK, free), min((block + 1) * _BLOCK, len(grams) - 1)):
            number = grams[place]
            if number == 0 or place < free:
                continue
            if seen[number]:
                chars += _count_chars(lengths, long_words, place, n)
                free = place + n
            else:
                seen[number] = True
    return chars


@kernel
def _count_chars(lengths: Bytes, long_words: Counts, place: int, n: int) -> int:
    """The characters of ``n`` words."""
    chars = 0
    for word in range(place, place + n):
        if lengths[word] < _LONG:
            chars += lengths[word]
        else:
            low, high = 0, len(long_words) // 2
            while high - low > 1:
                middle = (low + high) // 2
                if long_words[2 * middle] <= word:
                    low = middle
                else:
                    high = middle
            chars += long_words[2 * low + 1]
    return chars


@kernel
def _pair(first: np.uint32, second: np.uint32) -> np.uint64:
    """Two numbers as a key; neither is 0, so the key is not."""
    return np.uint64(first) << _HALF | np.uint64(second)


@kernel
def _part_of(key: np.uint64, parts: int) -> int:
    """The part of a key, by bits that neither its place in the table nor its marks are taken from."""
    return int((mix64(key) >> np.uint64(44)) % np.uint64(parts))


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
