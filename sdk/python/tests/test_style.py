"""The sources of the SDK and of the examples are clean: ruff's checks, its form, mypy --strict (settings in sdk/python/pyproject.toml)."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest
from conftest import SOURCE

SDK = SOURCE / "sdk/python"
FOLDERS = [str(SDK), str(SOURCE / "examples")]


def run(tool, *arguments, tmp_path):
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: scripts/testenv.sh")
    env = dict(os.environ, RUFF_CACHE_DIR=str(tmp_path), MYPY_CACHE_DIR=str(tmp_path))
    env.pop("LD_PRELOAD", None)
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=SDK, env=env, capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize("action", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff(action, tmp_path):
    done = run("ruff", *action, "--config", str(SDK / "pyproject.toml"), *FOLDERS, tmp_path=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy(tmp_path):
    done = run("mypy", tmp_path=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_sees_a_wrong_type(tmp_path):
    """The package says that it has types, and they reach its users."""
    folder = tmp_path / "program"
    folder.mkdir()
    shutil.copy(SDK / "pyproject.toml", folder)
    (folder / "user.py").write_text('import sonant\n\nlength: int = sonant.Engine().transcribe("a.wav").text\n')
    config = ["--config-file", str(SDK / "pyproject.toml")]
    done = run("mypy", *config, str(folder / "user.py"), tmp_path=tmp_path)
    assert done.returncode == 1 and 'has type "str"' in done.stdout, done.stdout + done.stderr
