"""L-Eval's closed questions: what counts as the answer in a text, and when it is right.

Each protocol reads answers in its own way: ``official`` is the benchmark's own scorer, ``opencompass`` the harness
that the report of Index-1.9B-32K used.
"""

from __future__ import annotations

import re

from lc_data.evaluation.metrics.words import normalize

_OPTIONS = frozenset("ABCD")
_LONE_CAPITAL = re.compile(r"\s*[A-Z](?=[\s.)])")
_OPTION_RUN = re.compile(r"[A-D]+")
_FIRST_PART = re.compile(r"[\n.,]")
_NOT_WORD = re.compile(r"[^\w\s]")
_ANY_ARTICLE = re.compile(r"\b(a|an|the)\b", re.IGNORECASE)
_ANSWER = "The answer is"


def official_option(text: str) -> str:
    """The one option that a text chooses: its first letter A to D; A where it names none, "None" for an empty text.

    A text that is nothing but options in order ("BC") stays as it is, and so is wrong.
    """
    if not text.strip():
        return "None"
    if text in "ABCD":
        return text
    return next((letter for letter in text if letter in _OPTIONS), "A")


def official_options(text: str) -> str:
    """The options that a text chooses where several may be right, sorted; A where it names none.

    Two letters or more at the very start decide; otherwise a leading letter counts together with the capital letters
    that stand before white space, a full stop or a bracket, up to the word "Question"; failing that the first run of
    option letters.
    """
    if not text.strip():
        return "None"
    if text in "ABCD":
        return text
    run = re.match(r"[A-D]*", text)
    leading = run[0] if run else ""
    if len(leading) > 1:
        return "".join(sorted(set(leading)))
    rest = text[len(leading) :].split("Question", maxsplit=1)[0]
    lone = "".join(_LONE_CAPITAL.findall(rest))
    chosen = sorted(_OPTIONS & set(leading + lone))
    if chosen:
        return "".join(chosen)
    later = _OPTION_RUN.search(rest)
    return later[0] if later else "A"


def official_gold_option(text: str) -> str:
    """The options of a reference: the letters A to D of its first word."""
    return "".join(letter for letter in text.split(maxsplit=1)[0] if letter in _OPTIONS) or "A"


def official_number(text: str) -> str:
    """The digits of the word after "The answer is", up to its point; failing that of the last word with a digit."""
    found = re.search(rf"{_ANSWER} (\S+)", text)
    if found:
        word = found[1]
    else:
        words = text.split("\n\n", maxsplit=1)[0].split(" ")
        word = next((word for word in reversed(words) if any(c.isdigit() for c in word)), "")
    return "".join(c for c in word.split(".")[0] if c.isdigit())


def official_match(prediction: str, reference: str) -> float:
    """Whether an answer is right; a quarter for options that are all right but not all there are.

    Numbers compare as numbers. Any other reference must stand in the prediction (in its first line of more than one
    character), whatever case and spaces.
    """
    wanted = normalize(reference, lower=False)
    if set(wanted) <= _OPTIONS:
        given = normalize(prediction, lower=False)
        return 1.0 if given == wanted else 0.25 if set(given) <= set(wanted) else 0.0
    try:
        return float(float(prediction) == float(reference))
    except ValueError:
        line = next((line for line in prediction.split("\n") if len(line) > 1), prediction)
        return float(_squeezed(reference) in _squeezed(line))


def opencompass_option(text: str) -> str:
    """The first capital letter, whichever it is."""
    return next((letter for letter in text if letter.isupper()), "")


def opencompass_options(text: str) -> str:
    """The first run of letters A to D."""
    found = _OPTION_RUN.search(text)
    return found[0] if found else ""


def opencompass_number(text: str) -> str:
    """The digits of the first word with a digit after the first "The answer is", up to the next one."""
    parts = text.split(_ANSWER)
    if len(parts) < 2:
        return ""
    word = next((word for word in parts[1].split(" ") if any(c.isdigit() for c in word)), "")
    return "".join(c for c in word if c.isdigit())


def opencompass_text(text: str) -> str:
    """What stands before the first line end, full stop or comma, without punctuation and articles."""
    first = _NOT_WORD.sub("", _FIRST_PART.split(text, maxsplit=1)[0])
    return re.sub(r"\s+", " ", _ANY_ARTICLE.sub("", first)).strip()


def opencompass_match(prediction: str, reference: str) -> float:
    """Whether the reference, as it is or reduced like the prediction, stands in the reduced prediction."""
    given = opencompass_text(prediction)
    return float(opencompass_text(reference) in given or reference in given)


def _squeezed(text: str) -> str:
    return text.lower().replace(" ", "")
