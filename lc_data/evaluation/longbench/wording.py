"""Our own prompts for LongBench, used where the user's folder has no ``dataset2prompt.json``.

Instructions stand before and after a long text, because either end may be what a model attends to.
"""

from __future__ import annotations

from lc_data.evaluation.longbench.tasks import TASKS
from lc_data.evaluation.template import OWN, Wording

_QUESTION = (
    "Read the text below, then reply to the question after it. Keep to what the text says and be brief: a name, a "
    "number or a short phrase is enough.\n\nText:\n{context}\n\nReply to the question from the text above, as briefly "
    "as you can.\nQuestion: {input}\nReply:"
)
_QUESTION_ZH = (
    "阅读下面的文字，然后回答文后的问题。只依据文字内容，回答尽量简短。\n\n文字：\n{context}\n\n"
    "请依据以上文字简短作答。\n问题：{input}\n回答："
)
_EXAMPLES = "Every example below ends with its answer. Complete the last one in the same manner.\n\n{context}\n{input}"
_CODE = "Continue this code by one line.\n{context}{input}"

_TEMPLATES = {
    **{task.name: _QUESTION_ZH if task.language == "zh" else _QUESTION for task in TASKS if task.kind == "question"},
    "dureader": (
        "下面是若干篇文章，请先读完，再回答文后的问题。\n\n{context}\n\n请依据以上文章作答。\n问题：{input}\n回答："
    ),
    "gov_report": (
        "Below is a report by a public body. Sum it up on one page.\n\nReport:\n{context}\n\nSum up the report "
        "above on one page.\nSummary:"
    ),
    "qmsum": (
        "Below are the minutes of a meeting, and after them a request about it. Reply in a few sentences.\n\nMinutes:\n"
        "{context}\n\nReply to the request in a few sentences.\nRequest: {input}\nReply:"
    ),
    "multi_news": (
        "Below are several news stories on one event. Sum them up together on one page.\n\nStories:\n{context}\n\n"
        "Sum up all the stories above on one page.\nSummary:"
    ),
    "vcsum": "下面是一场会议的记录，请写出会议总结。\n\n会议记录：\n{context}\n\n请总结以上会议。\n总结：",
    **{task.name: _EXAMPLES for task in TASKS if task.kind == "labels"},
    "lsht": "下面每个例子都以答案结尾，请照样完成最后一个。\n\n{context}\n{input}",
    "passage_count": (
        "Some of the numbered paragraphs below repeat others word for word. Find out how many different ones there "
        "are.\n\n{context}\n\nHow many different paragraphs are there? Reply with the number alone.\nNumber:"
    ),
    "passage_retrieval_en": (
        "Below are numbered paragraphs, and after them a summary of one of these.\n\n{context}\n\nSummary:\n{input}\n\n"
        "Which paragraph is it a summary of? Reply in the form: Paragraph 1\nReply:"
    ),
    "passage_retrieval_zh": (
        "下面是编了号的若干段落，文后是其中一段的摘要。\n\n{context}\n\n摘要：\n{input}\n\n"
        "这是哪一段的摘要？请按“段落1”的格式回答。\n回答："
    ),
    **{task.name: _CODE for task in TASKS if task.kind == "code"},
}

OWN_WORDING = Wording(_TEMPLATES, OWN)
