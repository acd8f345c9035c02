"""ROUGE-L as LongBench scores summaries: the sentences and unions of the package ``rouge`` 1.0.1.

Sentences end at full stops. For every pair of a reference sentence and a predicted sentence a longest common
subsequence is taken; what counts is the number of different words in all of them, over the number of different words
of each text. The ideographic full stop does not end a sentence, so a Chinese text is one sentence unless it holds an
ASCII one.

Difference: the package recurses once per word, and the published scorers give 0 to a pair of sentences of together
about 1,000 words or more, where the recursion fails. Here such a pair has its score.
"""

from __future__ import annotations

from lc_data.evaluation.metrics.chinese import split_words
from lc_data.evaluation.metrics.subsequence import common_pairs, places_of

_EPSILON = 1e-8


def rouge_l(prediction: str, reference: str) -> float:
    """F of the union of longest common subsequences; 0 where a text has no sentence."""
    predicted, wanted = _sentences(prediction), _sentences(reference)
    if not predicted or not wanted:
        return 0.0
    indexed = [(words, places_of(words)) for words in predicted]
    union: set[str] = set()
    for sentence in wanted:
        for words, places in indexed:
            union.update(sentence[i] for i, _ in common_pairs(sentence, words, places))
    precision = len(union) / len({word for words in predicted for word in words})
    recall = len(union) / len({word for words in wanted for word in words})
    return 2.0 * (precision * recall / (precision + recall + _EPSILON))


def rouge_l_zh(prediction: str, reference: str) -> float:
    """:func:`rouge_l` over jieba's words."""
    return rouge_l(" ".join(split_words(prediction)), " ".join(split_words(reference)))


def _sentences(text: str) -> list[list[str]]:
    """Words by sentence. A sentence of white space alone holds one empty word, as in the package."""
    return [" ".join(sentence.split()).split(" ") for sentence in text.split(".") if sentence]
