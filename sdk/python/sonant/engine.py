"""The engine in this process."""

from __future__ import annotations

from sonant._base import Model
from sonant._export import Exporting
from sonant._listen import Listening
from sonant._speak import Speaking
from sonant._store import Store
from sonant._tools import Tools
from sonant._transcribe import Transcribing

__all__ = ["Engine", "Model"]


class Engine(Transcribing, Speaking, Listening, Tools, Store, Exporting):
    """Speech to text and text to speech in this process.

    Owns threads and loaded models, is shared by any number of Python threads, and lets go of the interpreter's lock while it works.
    Close it, or use it in `with`. In a forked child it is closed: open another one there.

        with sonant.Engine() as engine:
            print(engine.transcribe("meeting.wav").text)
            engine.speak("Good morning.").save("morning.wav")
    """
