"""Runs a pytest file of the SDK and reports each case in the Test Anything Protocol. In a build with sanitizers their library comes first
(PRELOAD): the interpreter itself was built without."""

import os
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
root = here.parents[2]
interpreter = root / "build/testenv/bin/python"
python = str(interpreter) if interpreter.exists() else sys.executable
paths = [str(here), str(root / "tests/server"), os.environ.get("PYTHONPATH", "")]
os.environ["PYTHONPATH"] = os.pathsep.join(paths)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
if os.environ.get("PRELOAD"):
    os.environ["LD_PRELOAD"] = os.environ["PRELOAD"]
    # what the interpreter never gives back is not ours
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "")
os.execv(python, [python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "tap", *sys.argv[1:]])
