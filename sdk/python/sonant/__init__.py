"""Sonant: speech to text and text to speech, in this process or on a server.

    import sonant

    with sonant.Engine() as engine:
        result = engine.transcribe("meeting.wav")
        print(result.text)
        engine.speak("Good morning.").save("morning.wav")

Importing it is cheap: the engine's library is loaded when `Engine` is first asked for, the client's packages with `Client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sonant.errors import (
    ArgumentError,
    BusyError,
    CancelledError,
    ClosedError,
    DependencyError,
    EngineMemoryError,
    EngineTimeoutError,
    Error,
    FormatError,
    InternalError,
    IoError,
    LimitError,
    ModelError,
    NoSpaceError,
    NotFoundError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from sonant import models as models
    from sonant._listen import Listener as Listener
    from sonant._listen import ListenOptions as ListenOptions
    from sonant._microphone import microphone as microphone
    from sonant._segments import Segments as Segments
    from sonant._speak import SpeakOptions as SpeakOptions
    from sonant._speak import SpeechStream as SpeechStream
    from sonant._transcribe import TranscribeOptions as TranscribeOptions
    from sonant.aio import AsyncEngine as AsyncEngine
    from sonant.audio import Audio as Audio
    from sonant.client import AsyncClient as AsyncClient
    from sonant.client import Client as Client
    from sonant.engine import Engine as Engine
    from sonant.engine import Model as Model
    from sonant.framework import TorchInferenceFramework as TorchInferenceFramework
    from sonant.pipelines import pipeline as pipeline
    from sonant.types import Commit as Commit
    from sonant.types import Language as Language
    from sonant.types import Note as Note
    from sonant.types import Outcome as Outcome
    from sonant.types import Partial as Partial
    from sonant.types import Segment as Segment
    from sonant.types import Speech as Speech
    from sonant.types import SpeechChunk as SpeechChunk
    from sonant.types import Transcript as Transcript
    from sonant.types import Word as Word

__version__ = "0.1.0"

_LAZY = {
    "AsyncClient": "sonant.client",
    "AsyncEngine": "sonant.aio",
    "Audio": "sonant.audio",
    "Client": "sonant.client",
    "Commit": "sonant.types",
    "Engine": "sonant.engine",
    "Language": "sonant.types",
    "ListenOptions": "sonant._listen",
    "Listener": "sonant._listen",
    "Model": "sonant.engine",
    "Note": "sonant.types",
    "Outcome": "sonant.types",
    "Partial": "sonant.types",
    "Segment": "sonant.types",
    "Segments": "sonant._segments",
    "SpeakOptions": "sonant._speak",
    "Speech": "sonant.types",
    "SpeechChunk": "sonant.types",
    "SpeechStream": "sonant._speak",
    "TorchInferenceFramework": "sonant.framework",
    "TranscribeOptions": "sonant._transcribe",
    "Transcript": "sonant.types",
    "Word": "sonant.types",
    "microphone": "sonant._microphone",
    "models": "sonant.models",
    "pipeline": "sonant.pipelines",
}

__all__ = [
    "ArgumentError",
    "AsyncClient",
    "AsyncEngine",
    "Audio",
    "BusyError",
    "CancelledError",
    "Client",
    "ClosedError",
    "Commit",
    "DependencyError",
    "Engine",
    "EngineMemoryError",
    "EngineTimeoutError",
    "Error",
    "FormatError",
    "InternalError",
    "IoError",
    "Language",
    "LimitError",
    "ListenOptions",
    "Listener",
    "Model",
    "ModelError",
    "NoSpaceError",
    "NotFoundError",
    "Note",
    "Outcome",
    "Partial",
    "Segment",
    "Segments",
    "SpeakOptions",
    "Speech",
    "SpeechChunk",
    "SpeechStream",
    "TorchInferenceFramework",
    "TranscribeOptions",
    "Transcript",
    "UnsupportedError",
    "Word",
    "__version__",
    "microphone",
    "models",
    "pipeline",
]


def __getattr__(name: str) -> Any:
    """What is heavy is imported when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'sonant' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_LAZY[name])
    value = module if _LAZY[name] == f"sonant.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
