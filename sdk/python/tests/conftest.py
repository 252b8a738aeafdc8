"""Engines, clips and servers for the SDK's tests."""

import importlib.util
import os
import pathlib

import pytest

SOURCE = pathlib.Path(os.environ.get("SOURCE", pathlib.Path(__file__).resolve().parents[3]))
JFK = SOURCE / "tests/audio/jfk.wav"
JFK_TEXT = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
TINY = SOURCE / "tests/fixtures/tiny"

_spec = importlib.util.spec_from_file_location("server_conftest", SOURCE / "tests/server/conftest.py")
server_tools = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(server_tools)
needs_model, words = server_tools.needs_model, server_tools.words
serve, server = server_tools.serve, server_tools.server


@pytest.fixture(scope="module")
def engine():
    import sonant

    with sonant.Engine() as engine:
        yield engine
