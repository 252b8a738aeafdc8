"""Progress for people: `progress=True` is a bar of tqdm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sonant import errors

__all__ = ["following"]


@contextmanager
def following(progress: Any, what: str, unit: str = "s") -> Iterator[Callable[[float, float], object] | None]:
    """What an option `progress` asks for, as a function of what is done and what there is in all (0: not known).

    progress: None or False: nothing; True: a bar of tqdm that is named `what` and counts `unit`s; else the function itself.

    Raises DependencyError (no tqdm), TypeError."""
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with bar(what, unit) as shown:
            yield lambda done, total: move(shown, done, total)
            finish(shown)
    elif callable(progress):
        yield progress
    else:
        raise TypeError(f"progress must be a function of two numbers, or True for a bar of tqdm, not {type(progress).__name__}")


def bar(what: str, unit: str) -> Any:
    """An empty bar of tqdm."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise errors.DependencyError("progress=True shows a bar of tqdm, which is not installed: pip install tqdm") from None
    return tqdm(desc=what, unit=unit, unit_scale=unit == "B", unit_divisor=1000)


def move(shown: Any, done: float, total: float) -> None:
    """Brings a bar to where the work is, in whole units. A new pass begins at 0 again."""
    whole = max(1, round(total)) if total > 0 else None
    if whole is not None and shown.total != whole:
        shown.total = whole
    shown.update(round(done) - shown.n)


def finish(shown: Any) -> None:
    """All is done, whatever was told last."""
    if shown.total:
        shown.update(shown.total - shown.n)
