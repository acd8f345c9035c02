"""Dialogues: JSON Lines with ``messages``, written out as text by the recipe's template.

The parts of the document are the messages, each with the end-of-turn mark after it: that is what SFT takes its loss on
when the role is the assistant's. A message that itself contains a mark of the template would forge a turn, so its
dialogue is quarantined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from lc_data.corpus.document import message_part
from lc_data.corpus.readers import jsonl
from lc_data.corpus.readers.fields import map_labels
from lc_data.corpus.readers.inputs import Input
from lc_data.corpus.readers.record import Document, Fault, Labels, Origin, Part, Record, check_text
from lc_data.recipe.sources import ChatSource, ChatTemplate

ROLES = tuple(ChatTemplate.model_fields)
_MARK = re.compile(r"<\|[^|<>\s]+\|>|</?s>")
"""What looks like a special token: these may not occur inside a message; plain words such as ``User:`` may."""

list_input = jsonl.list_input
cut = jsonl.cut


class Message(NamedTuple):
    """One turn of a dialogue."""

    role: str
    content: str


@dataclass(frozen=True)
class Dialogue:
    """Messages of known roles, none of them blank, at least one the assistant's."""

    messages: tuple[Message, ...]

    def render(self, template: ChatTemplate) -> tuple[bytes, tuple[Part, ...]]:
        """The text, and a part for each message with what follows it; raises :class:`Fault` for a forged mark."""
        marks = _marks(template)
        pieces: list[bytes] = []
        parts = []
        offset = 0
        for index, message in enumerate(self.messages):
            forged = next((mark for mark in marks if mark in message.content), None)
            if forged is not None:
                raise Fault("template mark in a message", f"message {index} contains {forged!r}")
            turn = template.turns[message.role]
            before, said = turn.before.encode(), f"{message.content}{turn.after}".encode()
            parts.append(Part(message_part(index, message.role), offset + len(before), len(said)))
            pieces += [before, said]
            offset += len(before) + len(said)
        return b"".join(pieces), tuple(parts)

    def document(self, labels: Labels, address: str, source: ChatSource | Any) -> Document:
        """The dialogue as a document of ``source``, whose template and size limit it has."""
        text, parts = self.render(source.template)
        said = sum(len(message.content.encode()) for message in self.messages)
        return Document(
            labels, check_text(text, source.max_document_bytes), address, parts, Origin("rendered", 1, said)
        )


def read(part: Input, source: ChatSource, max_record_bytes: int) -> Iterator[Record]:
    """One dialogue a line."""
    return jsonl.read_objects(part, source, max_record_bytes, map_dialogue)


def map_dialogue(record: dict[str, Any], source: ChatSource, address: str) -> Document:
    """The document of a record with messages; raises :class:`Fault`."""
    if source.messages not in record:
        raise Fault("missing messages", f"no field {source.messages!r}")
    dialogue = check_dialogue(record[source.messages])
    return dialogue.document(map_labels(record, source, address), address, source)


def check_dialogue(messages: Any) -> Dialogue:
    """A dialogue; raises :class:`Fault` naming the message that is wrong."""
    if not isinstance(messages, list):
        raise Fault("wrong type", f"messages are {type(messages).__name__}, not a list")
    checked = tuple(_message(index, message) for index, message in enumerate(messages))
    if not any(message.role == "assistant" for message in checked):
        raise Fault("no assistant turn", f"{len(checked)} messages, none of them from the assistant")
    return Dialogue(checked)


def _message(index: int, message: Any) -> Message:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Fault("wrong type", f"message {index} is not an object with a role")
    role, content = message["role"], message.get("content")
    if role not in ROLES:
        raise Fault("unknown role", f"message {index} has the role {role!r}; known are {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise Fault("wrong type", f"the content of message {index} is {type(content).__name__}, not a string")
    if not content.strip():
        raise Fault("empty message", f"message {index} ({role}) says nothing")
    return Message(role, content)


@lru_cache(maxsize=8)
def _marks(template: ChatTemplate) -> Sequence[str]:
    return sorted({mark for turn in template.turns.values() for mark in _MARK.findall(turn.before + turn.after)})
