"""Signatures that name every option."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["spelled"]

F = TypeVar("F", bound=Callable[..., Any])


def spelled(options: type) -> Callable[[F], F]:
    """For a function that takes `**options: Unpack[a TypedDict]`: help, notebooks and `inspect.signature` show the keywords one by one."""

    def spell(function: F) -> F:
        given = inspect.signature(function)
        named = [p for p in given.parameters.values() if p.kind is not p.VAR_KEYWORD]
        kinds = options.__annotations__
        keywords = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=getattr(kind, "__forward_arg__", kind))
            for name, kind in kinds.items()
        ]
        function.__signature__ = given.replace(parameters=[*named, *keywords])  # type: ignore[attr-defined]
        return function

    return spell
