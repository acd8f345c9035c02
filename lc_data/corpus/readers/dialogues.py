"""Questions and answers about the standard library, for supervised fine-tuning without a download.

The wording of the questions is ours, English and Chinese, chosen by the hash of what is asked about; the answers are
the signature and the docstring. A documented class is followed by questions about its methods, so that there are
dialogues of several turns.
"""

from __future__ import annotations

from collections.abc import Iterator

import xxhash

from lc_data.corpus.readers.chat import Dialogue, Message
from lc_data.corpus.readers.inputs import InputFile
from lc_data.corpus.readers.library import Member, Module
from lc_data.corpus.readers.record import Fault, Labels, Record, make_id, reject
from lc_data.recipe.sources import EnvironmentSource

MAX_FOLLOW_UPS = 6
_SYSTEM = "You answer questions about the Python standard library from its documentation."

_ENGLISH = (
    "What does `{name}` in the Python standard library do?",
    "How is `{name}` called? Show its signature and explain it.",
    "Explain `{name}` from the `{module}` module.",
    "I came across `{name}` in some code. What is it for?",
    "Give me the documentation of `{name}`.",
)
_CHINESE = (
    "Python 标准库里的 `{name}` 有什么用？",
    "`{name}` 应该怎样调用？请给出它的签名并加以说明。",
    "请介绍一下 `{module}` 模块中的 `{name}`。",
    "我在代码里看到了 `{name}`，它是做什么的？",
)
_ENGLISH_FOLLOW_UPS = ("And its method `{name}`?", "What does `{name}` do?", "How do I use `{name}`?")
_CHINESE_FOLLOW_UPS = ("那么它的方法 `{name}` 呢？", "`{name}` 又是做什么的？", "怎样使用 `{name}`？")
_ENGLISH_ANSWER = "```python\n{signature}\n```\n\n{docstring}"
_CHINESE_ANSWER = "`{name}` 的签名是：\n\n```python\n{signature}\n```\n\n文档说明如下：\n\n{docstring}"


def module_dialogues(module: Module, source: EnvironmentSource, file: InputFile) -> Iterator[Record]:
    """A dialogue for every documented function and class of a module, in the order of its source."""
    for member in module.members:
        if member.docstring is None:
            continue
        address = f"{module.name}.{member.name}"
        dialogue, language = ask_about(member, module.name)
        made = make_id(source, address)
        labels = Labels(made, source.domain, made, file.license or source.license, language)
        try:
            yield dialogue.document(labels, address, source)
        except Fault as fault:
            yield reject(source, address, fault, member.docstring.encode())


def ask_about(member: Member, module: str) -> tuple[Dialogue, str]:
    """The dialogue about a documented member, and its language."""
    name = f"{module}.{member.name}"
    choice = xxhash.xxh3_64_intdigest(name)
    chinese = choice % 3 == 0
    openings, follow_ups = (_CHINESE, _CHINESE_FOLLOW_UPS) if chinese else (_ENGLISH, _ENGLISH_FOLLOW_UPS)
    answer = _CHINESE_ANSWER if chinese else _ENGLISH_ANSWER
    messages = [Message("system", _SYSTEM)] if choice % 5 == 0 else []
    question = openings[(choice >> 8) % len(openings)].format(name=name, module=module)
    messages += [Message("user", question), _answer(answer, member, name)]
    documented = [inner for inner in member.members if inner.docstring]
    for number, inner in enumerate(documented[:MAX_FOLLOW_UPS]):
        question = follow_ups[((choice >> 16) + number) % len(follow_ups)].format(name=inner.name)
        messages += [Message("user", question), _answer(answer, inner, inner.name)]
    return Dialogue(tuple(messages)), "zh" if chinese else "en"


def _answer(template: str, member: Member, name: str) -> Message:
    said = template.format(name=name, signature=member.signature, docstring=member.docstring)
    return Message("assistant", said)
