"""Kokoro's model against ONNX Runtime's own Python package: test_kokoro.py DUMP SOURCE. Skipped (77) without the weights or the package."""

import os
import pathlib
import subprocess
import sys

dump, source = sys.argv[1], pathlib.Path(sys.argv[2])
cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
model = pathlib.Path(os.environ.get("SONANT_HOME") or os.path.join(cache, "sonant")) / "models" / "kokoro"
testenv = source / "build" / "testenv" / "bin" / "python"
python = str(testenv) if testenv.exists() else sys.executable

if not model.is_dir():
    print(f"{model} is not there: sonant models pull kokoro")
    sys.exit(77)
if subprocess.run([python, "-c", "import onnxruntime, numpy"], capture_output=True).returncode:
    print(f"{python} has no onnxruntime and numpy")
    sys.exit(77)
sys.exit(subprocess.run([python, source / "tests" / "golden" / "kokoro_check.py", dump, model]).returncode)
