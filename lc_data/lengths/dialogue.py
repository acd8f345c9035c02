"""A dialogue as segments: what the template wrote, where control tokens count, and what people wrote, where not.

A message that contains the text of a control token (``<|im_end|>``, say) must not end its turn: that would let any
user's text forge an answer, and would train the model on it. So content is encoded as plain text, the template's own
markers as control tokens, and the two never in one call. It also makes the borders of the loss exact: no token reaches
over one, just as none does at inference, where the answer is generated after the encoded prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """Where one message lies in its dialogue's text, in UTF-8 bytes, with the marker that ends its turn."""

    start: int
    end: int
    turn_ends: tuple[str, ...]
    """The markers with which a template may have ended it; the longest that does is taken as template."""
    is_target: bool
    """Whether the loss counts here."""


@dataclass(frozen=True)
class Segment:
    """A run of text that is encoded by itself."""

    text: str
    is_template: bool
    is_target: bool


def split_dialogue(text: str, messages: Sequence[Message]) -> list[Segment]:
    """The segments of a dialogue, in order; their texts join to ``text``.

    Raises ValueError for messages that overlap, go backwards, leave the text or cut a character.
    """
    data = text.encode()
    segments: list[Segment] = []
    position = 0
    for message in messages:
        if not position <= message.start <= message.end <= len(data):
            raise ValueError(
                f"a message spans bytes {message.start} to {message.end} of a dialogue of {len(data)} bytes, "
                f"after one that ends at {position}"
            )
        segments.append(Segment(data[position : message.start].decode(), is_template=True, is_target=False))
        whole = data[message.start : message.end].decode()
        marker = max((end for end in message.turn_ends if whole.endswith(end)), key=len, default="")
        content = whole[: len(whole) - len(marker)]
        segments.append(Segment(content, is_template=False, is_target=message.is_target))
        segments.append(Segment(marker, is_template=True, is_target=message.is_target))
        position = message.end
    segments.append(Segment(data[position:].decode(), is_template=True, is_target=False))
    return [segment for segment in segments if segment.text]
