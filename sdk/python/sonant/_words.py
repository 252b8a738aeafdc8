"""Words as they stand in the text of their segment."""

from __future__ import annotations

from collections.abc import Iterator

from sonant.types import Segment, Word

__all__ = ["spaced"]


def spaced(segment: Segment) -> Iterator[tuple[str, Word]]:
    """Each word with what stands before it (a space, where the language has them): joined they are the segment's text."""
    at = 0
    for number, word in enumerate(segment.words, 1):
        found = segment.text.find(word.word, at)
        end = at if found < 0 else found + len(word.word)
        if number == len(segment.words) and found >= 0:
            end = len(segment.text)
        yield (word.word if found < 0 else segment.text[at:end]), word
        at = end
