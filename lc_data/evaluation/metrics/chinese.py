"""Chinese words, as jieba's default mode cuts them: the words that published Chinese scores count.

Another segmenter, or single characters, would give other scores under the same name, so there is no fallback. The
dictionary is read into memory (about a second) instead of through jieba's own start, which leaves a cache file in the
machine's folder for temporary files.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lc_data.failure import Failure


def split_words(text: str) -> list[str]:
    """The words of a text, white space and punctuation included.

    Raises:
        Failure: where jieba is not installed.

    """
    return list(_segmenter().cut(text, cut_all=False)) if text else []


@cache
def _segmenter() -> Any:
    try:
        import jieba
    except ImportError as error:
        raise Failure(
            "Chinese answers are scored by jieba's words, and jieba is not installed: pip install 'lc_data[evaluation]'"
        ) from error
    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return segmenter
