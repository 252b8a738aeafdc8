#!/usr/bin/env python3
"""Writes sonant/errors.py from the list of results in the public header.

usage: errors.py          writes the module
       errors.py --check  says whether the module is that of the header (exit status 1: it is not)
"""

import builtins
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
HEADER, MODULE = ROOT / "include/sonant/sonant.h", ROOT / "sdk/python/sonant/errors.py"
RESULT = re.compile(r'X\((SN_E_\w+), (-\d+), "(.+?)", (\d+), (\d+), (\w+)\)')

HEAD = '''"""What can go wrong. Written by tools/errors.py from the list of results in sonant.h; change that one.

Every exception of the engine and of the client is an `Error`; where Python has a class for it, it is that one, too, so that
`except ValueError` and `except sonant.Error` both do what they say.
"""

from __future__ import annotations


class Error(Exception):
    """Something went wrong; `str(error)` is a sentence that says what, with which value, and what would be right."""

    code: str = "SN_E_INTERNAL"
    """The name in the C API."""
    value: int = -15
    """The number in the C API."""
    status: int = 500
    """The HTTP status of the server for it."""
    exit_status: int = 70
    """The exit status of the program for it."""
    request_id: str = ""
    """Of the request, where a server said it."""
    retry_after: float | None = None
    """Seconds after which a server asks to try again."""
'''
TAIL = '''

CLASSES: dict[str, type[Error]] = {{
{names}
}}
"""Every class by its name in the C API."""

BY_VALUE: dict[int, type[Error]] = {{kind.value: kind for kind in CLASSES.values()}}


def from_value(value: int, message: str) -> Error:
    """The exception for a result of the C API."""
    kind = BY_VALUE.get(value, InternalError)
    return kind(message or f"error {{value}}")


def from_reply(status: int, code: str, message: str) -> Error:
    """The exception for a server's reply: of its code, else of the first class that has its HTTP status."""
    kind = CLASSES.get(code)
    if kind is None:
        kind = next((k for k in CLASSES.values() if k.status == status), None)
    if kind is None:
        kind = ArgumentError if 400 <= status < 500 else InternalError
    return kind(message or f"HTTP status {{status}}")
'''


def class_name(code: str, python: str) -> str:
    """The list's own name; where that is a class of Python, the code's, and in front of one that Python has as well, "Engine"."""
    if not hasattr(builtins, python):
        return python
    name = "".join(part.capitalize() for part in code.removeprefix("SN_E_").split("_")) + "Error"
    return "Engine" + name if hasattr(builtins, name) else name


def module(header: str) -> str:
    out, names = [HEAD], []
    for code, value, text, status, exit_status, python in RESULT.findall(header):
        name = class_name(code, python)
        base = f"Error, {python}" if hasattr(builtins, python) else "Error"
        out.append(f'''

class {name}({base}):
    """{text[0].upper() + text[1:]}."""

    code = "{code}"
    value = {value}
    status = {status}
    exit_status = {exit_status}
''')
        names.append(f'    "{code}": {name},')
    out.append(TAIL.format(names="\n".join(names)))
    return "".join(out)


def main(args: list[str]) -> None:
    wanted = module(HEADER.read_text(encoding="utf-8"))
    if args == ["--check"]:
        good = MODULE.exists() and MODULE.read_text(encoding="utf-8") == wanted
        sys.exit(None if good else "sonant/errors.py is not that of sonant.h: run sdk/python/tools/errors.py")
    if args:
        sys.exit(__doc__.strip())
    MODULE.write_text(wanted, encoding="utf-8")


main(sys.argv[1:])
