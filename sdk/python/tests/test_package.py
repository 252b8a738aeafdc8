"""`pip install ./sdk/python` in a fresh virtual environment: what it installs is whole and works without a network."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import SOURCE, needs_model, words

WORK = pathlib.Path(os.environ["SONANT"]).parent / "package"
PARTS = [
    "LICENSE",
    "api",
    "data",
    "helpers",
    "include",
    "meson.build",
    "meson_options.txt",
    "pyproject.toml",
    "scripts",
    "sdk",
    "src",
    "web",
]
AWAY = ("PYTHONPATH", "SONANT_HELPERS", "LD_LIBRARY_PATH", "SOURCE")
ENV = {name: value for name, value in os.environ.items() if name not in AWAY}
HELPERS = ("sonant-decode", "sonant-phonemize", "sonant-pull")
NO_NETWORK = ["unshare", "--map-root-user", "--net"]
# What an example does, and then that nothing of the network or of PyTorch came with it. Where no namespace can be had, no socket can be.
RUN = """
import runpy, socket, sys

def refuse(*_):
    raise OSError("no network here")

socket.socket.connect = socket.create_connection = refuse
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"torch", "httpx", "websockets", "requests"} & set(sys.modules)
"""


def run(*command, **more):
    return subprocess.run([str(part) for part in command], env=ENV, capture_output=True, text=True, **more)


def copy_of_the_tree():
    """Without build folders, caches and tests: times are kept, so that what was compiled before stays."""
    tree = WORK / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", ".*_cache", "tests")
    for name in PARTS:
        if (SOURCE / name).is_dir():
            shutil.copytree(SOURCE / name, tree / name, ignore=ignore)
        else:
            shutil.copy2(SOURCE / name, tree)
    return tree


@pytest.fixture(scope="module")
def place():
    """A virtual environment in which the package was installed."""
    venv = WORK / "venv"
    made = run(sys.executable, "-m", "venv", "--clear", venv)
    assert made.returncode == 0, made.stdout + made.stderr
    reached = run(venv / "bin/pip", "download", "--quiet", "--no-deps", "--dest", WORK / "reached", "meson-python", timeout=120)
    if reached.returncode != 0:
        pytest.skip(f"no package index could be reached: {reached.stderr.strip().splitlines()[-1]}")
    settings = f"--config-settings=build-dir={WORK / 'objects'}"
    done = run(venv / "bin/pip", "install", settings, copy_of_the_tree() / "sdk/python", timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    return venv


@pytest.fixture(scope="module")
def offline():
    """The start of a command that has no network."""
    return NO_NETWORK if run(*NO_NETWORK, "true").returncode == 0 else []


def test_the_package_is_whole(place):
    asked = run(place / "bin/pip", "show", "--files", "sonant")
    head, files = asked.stdout.split("Files:\n")
    files = files.split()
    required = next(line for line in head.splitlines() if line.startswith("Requires: ")).removeprefix("Requires: ")
    assert sorted(required.split(", ")) == ["cffi", "numpy"]
    for name in ("sonant/py.typed", "sonant/_native.abi3.so", "sonant/_lib/bin/sonant", "framework/__init__.py", "../../../bin/sonant"):
        assert name in files
    assert {f"sonant/_lib/helpers/{name}" for name in HELPERS} <= set(files)
    assert [name for name in files if "libsonant" in name] == ["sonant/_lib/libsonant.so.0.1"]
    folders = ("sonant/", "framework/", "sonant-", "../../../bin/sonant")
    assert not [name for name in files if not name.startswith(folders) or name.endswith((".h", ".a", ".c", ".pc", ".build"))]
    modules = {path.relative_to(SOURCE / "sdk/python").as_posix() for path in (SOURCE / "sdk/python").glob("[sf]*/*.py")}
    assert modules <= set(files)


def test_it_is_the_library_of_the_package(place):
    code = "import sonant._binding, framework, os; print(*[line.split()[-1] for line in open('/proc/self/maps') if 'libsonant' in line])"
    asked = run(place / "bin/python", "-c", code, cwd=WORK)
    assert asked.returncode == 0, asked.stderr
    assert {pathlib.Path(path) for path in asked.stdout.split()} == {pathlib.Path(next(place.rglob("libsonant.so*"))).resolve()}


def test_the_command(place):
    asked = run(place / "bin/sonant", "--version")
    assert (asked.returncode, asked.stdout.split()[0]) == (0, "sonant"), asked.stderr
    refused = run(place / "bin/sonant", "nonsense")
    assert refused.returncode != 0 and "nonsense" in refused.stderr


@needs_model("whisper-base")
def test_speech_to_text_offline(place, offline):
    done = run(*offline, place / "bin/python", "-c", RUN, SOURCE / "examples/stt.py", cwd=WORK, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ask not what your country can do for you" in words(done.stdout.splitlines()[0])


@needs_model("joe")
def test_text_to_speech_offline(place, offline, tmp_path):
    done = run(*offline, place / "bin/python", "-c", RUN, SOURCE / "examples/tts.py", "Good morning.", cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    sound = (tmp_path / "speech.wav").read_bytes()
    assert sound[:4] == b"RIFF" and len(sound) > 20000


def test_a_folder_without_the_rest_says_what_is_missing(tmp_path):
    shutil.copy(SOURCE / "sdk/python/_build.py", tmp_path)
    done = run(sys.executable, "-B", "-c", "import _build; _build.get_requires_for_build_wheel()", cwd=tmp_path)
    assert done.returncode == 1
    assert "the sources of the whole project" in done.stderr and "include/sonant/sonant.h" in done.stderr and "Traceback" not in done.stderr


@needs_model("joe")
def test_speech_data_beside_the_helper_are_used(tmp_path):
    """As a wheel carries them, in a folder whose path is longer than espeak-ng takes."""
    helper = pathlib.Path(os.environ["SONANT_HELPERS"], "sonant-phonemize")
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    shutil.copy2(helper, folder)
    found = run("pkg-config", "--variable=libdir", "espeak-ng").stdout.strip()
    shutil.copytree(pathlib.Path(found, "espeak-ng-data"), folder / "espeak-ng-data")

    def speak():
        command = [os.environ["SONANT"], "speak", "Good morning.", "--model", "joe", "--output", str(tmp_path / "a.wav")]
        return subprocess.run(command, env={**ENV, "SONANT_HELPERS": str(folder)}, capture_output=True, text=True, timeout=60)

    assert speak().returncode == 0
    (folder / "espeak-ng-data/en_dict").unlink()
    shutil.rmtree(folder / "espeak-ng-data/lang")
    refused = speak()
    assert refused.returncode != 0 and "espeak-ng" in refused.stderr
