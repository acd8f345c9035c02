"""Our own prompts for L-Eval, used where the user's folder has no ``leval_prompts.json``.

Texts are asked for in the number of words of the reference: that is how both protocols run, and it leaks the length.
"""

from __future__ import annotations

from lc_data.evaluation.leval.tasks import TASKS
from lc_data.evaluation.template import OWN, Wording

_OPTION = (
    "Below is a long document, and after it a question with options.\n\nDocument:\n{context}\n\n{question}\n"
    "Reply with the letter of the right option alone.\nReply:"
)
_TEXT = (
    "Below is a long document, and after it a request about it.\n\nDocument:\n{context}\n\nRequest: {question}\n"
    "Reply in about {words} words.\nReply:"
)
_BY_KIND = {
    "options": (
        "Below is the script of a lesson, and after it a question with options, of which one or several are right.\n\n"
        "Script:\n{context}\n\n{question}\nReply with the letters of all right options alone, like A or BC.\nReply:"
    ),
    "option": _OPTION,
    "number": "{context}\n\n{question}\nWork it out as above and end with: The answer is\n",
    "phrase": (
        "Below is the record of a long talk on several topics.\n\n{context}\n\n{question}\n"
        "Reply with the topic alone.\nReply:"
    ),
    "text": _TEXT,
}

OWN_WORDING = Wording({task.name: _BY_KIND[task.kind] for task in TASKS}, OWN)
