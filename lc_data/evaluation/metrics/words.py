"""Answers as bags of words: SQuAD's token F1 (Rajpurkar et al. 2016), in English and in Chinese.

English answers lose case, ASCII punctuation and articles; Chinese ones are cut into words first and each word is
cleaned, so that punctuation still tells words apart.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from lc_data.evaluation.metrics.chinese import split_words

_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CJK_PUNCTUATION = (
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～"
    "｟｠｢｣､、〃》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏."
)
_ALL_PUNCTUATION = str.maketrans("", "", string.punctuation + _CJK_PUNCTUATION)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize(text: str, lower: bool = True) -> str:
    """Without ASCII punctuation and articles, white space made single, in lower case unless told otherwise."""
    cleaned = (text.lower() if lower else text).translate(_ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", cleaned).split())


def qa_f1(prediction: str, reference: str) -> float:
    """F1 of the words of two English answers."""
    return bag_f1(normalize(prediction).split(), normalize(reference).split())


def qa_f1_zh(prediction: str, reference: str) -> float:
    """F1 of the words of two Chinese answers; needs jieba."""
    return bag_f1(_chinese_words(prediction), _chinese_words(reference))


def bag_f1(prediction: Sequence[str], reference: Sequence[str]) -> float:
    """F1 of two multisets; 0 where they share nothing, also when both are empty."""
    shared = sum((Counter(prediction) & Counter(reference)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(prediction), shared / len(reference)
    return 2 * precision * recall / (precision + recall)


def _chinese_words(text: str) -> list[str]:
    cleaned = ("".join(word.lower().translate(_ALL_PUNCTUATION).split()) for word in split_words(text))
    return [word for word in cleaned if word]
