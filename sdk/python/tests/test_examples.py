"""The examples run as they are told to, with no PyTorch, and with a tiny model where that is enough."""

import json
import os
import re
import shutil
import subprocess
import sys
import wave

import pytest
from conftest import JFK, JFK_TEXT, SOURCE, needs_model, words

EXAMPLES = SOURCE / "examples"
hears, speaks = needs_model("whisper-tiny.en"), needs_model("joe")
ALONE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    heavy = [name for name in ("torch", "transformers", "tensorflow", "onnxruntime") if name in sys.modules]
    assert not heavy, heavy
"""


def run(name, *options, status=0, folder=None):
    """The example's standard output; of one that fails its standard error."""
    command = [sys.executable, "-c", ALONE, str(EXAMPLES / name), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=folder)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


@hears
def test_speech_to_text():
    lines = run("stt.py", "--model", "tiny.en").splitlines()
    assert words(lines[0]) == JFK_TEXT and len(lines) == 1 + len(JFK_TEXT.split())
    assert re.fullmatch(r" +\d+\.\d\d +\d+\.\d\d  And", lines[1])
    assert "nonsense.wav" in run("stt.py", "nonsense.wav", "--model", "tiny.en", status=1)


@needs_model("whisper-base")
def test_speech_to_text_as_the_readme_says():
    assert words(run("stt.py").splitlines()[0]) == JFK_TEXT


@speaks
def test_text_to_speech(tmp_path):
    assert run("tts.py", folder=tmp_path).startswith("speech.wav: ")
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert 2 < file.getnframes() / file.getframerate() < 8
    run("tts.py", "Hello.", "--out", tmp_path / "hello.flac", "--speed", "1.2")
    assert (tmp_path / "hello.flac").read_bytes()[:4] == b"fLaC"
    assert "speed" in run("tts.py", "Hello.", "--speed", "9", status=1, folder=tmp_path)


@hears
@needs_model("silero-vad")
def test_live_captions():
    printed = run("listen.py", "--model", "tiny.en")
    assert words(" ".join(line[16:] for line in printed.splitlines())) == JFK_TEXT


@hears
def test_a_batch(tmp_path):
    shutil.copy(JFK, tmp_path / "one.wav")
    (tmp_path / "two.wav").write_bytes(b"no audio")
    said = run("batch.py", tmp_path / "one.wav", tmp_path / "two.wav", "--model", "tiny.en", status=1)
    assert "two.wav: " in said and "one.wav" not in said
    subtitles = (tmp_path / "one.srt").read_text()
    assert subtitles.startswith("1\n00:00:00,") and words(re.sub(r"[\d:,>\n-]+", " ", subtitles)) == JFK_TEXT
    assert run("batch.py", JFK, "--model", "tiny.en", "--format", "vtt", "--to", tmp_path).endswith("jfk.vtt: 22 words\n")


@hears
@speaks
def test_a_servers_client(server):
    pytest.importorskip("httpx")
    lines = run("server_client.py", server.url, "--model", "tiny.en").splitlines()
    assert words(lines[0]) == JFK_TEXT and "s of speech at 22050 Hz" in lines[1]
    assert "127.0.0.1:9" in run("server_client.py", "http://127.0.0.1:9", status=1)


@speaks
@needs_model("whisper-base", "silero-vad")
def test_the_notebook(tmp_path, capsys, monkeypatch):
    """A notebook of format 4 without outputs, whose cells run one after the other; what one ends with is shown, as Jupyter does."""
    book = json.loads((EXAMPLES / "speech.ipynb").read_text())
    assert book["nbformat"] == 4 and len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in book["cells"] if cell["cell_type"] == "code")
    monkeypatch.chdir(tmp_path)
    space, shown = {}, []
    for cell in cells:
        shown.append(run_cell(cell, space))
    printed = capsys.readouterr().out
    assert "there is nothing to worry about" in printed and "00:00:0" in printed and "of 5" in printed
    assert shown[1]._repr_html_().count("<audio controls") == 1 and not os.listdir(tmp_path)


def run_cell(cell, space):
    """The value of the cell's last line, where it is an expression."""
    *before, last = cell.split("\n")
    try:
        code = compile(last, "cell", "eval")
    except SyntaxError:
        exec(compile(cell, "cell", "exec"), space)
        return None
    exec(compile("\n".join(before), "cell", "exec"), space)
    return eval(code, space)
