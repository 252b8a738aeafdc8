"""The command `sonant` of a Python environment: the program that the package carries."""

from __future__ import annotations

import importlib.resources
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Becomes the program, which sees the same arguments, files and terminal. Raises SystemExit where the package carries none."""
    program = str(importlib.resources.files("sonant") / "_lib" / "bin" / "sonant")
    try:
        os.execv(program, ["sonant", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"sonant: {program} cannot be run ({error.strerror}); install the package anew: pip install --force-reinstall sonant")
