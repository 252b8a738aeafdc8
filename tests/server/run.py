"""Runs a pytest file and reports each case in the Test Anything Protocol. The interpreter is the one of build/testenv (scripts/testenv.sh)
where it is there: it has the packages that Debian lacks."""
import os
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parents[2]
interpreter = root / "build/testenv/bin/python"
python = str(interpreter) if interpreter.exists() else sys.executable
os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__)) + os.pathsep + os.environ.get("PYTHONPATH", "")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.execv(python, [python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "tap", *sys.argv[1:]])
