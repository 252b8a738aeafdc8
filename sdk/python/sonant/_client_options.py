"""The engine's options as the server's fields."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sonant import errors
from sonant.types import Voice

__all__ = ["form_fields", "listen_fields", "speak_fields", "transcribe_fields", "told"]

TRANSCRIBE = {
    "language": "language",
    "task": "task",
    "prompt": "prompt",
    "hotwords": "hotwords",
    "beam_size": "beam_size",
    "temperature": "temperature",
    "fallback": "fallback",
    "seed": "seed",
    "timestamps": "timestamps",
    "words": "return_timestamps",
    "vad": "vad",
    "vad_threshold": "vad_threshold",
    "vad_min_speech": "vad_min_speech",
    "vad_min_silence": "vad_min_silence",
    "vad_pad": "vad_pad",
    "condition": "condition",
    "denoise": "noise_reduction",
    "guards": "guards",
    "punctuate": "punctuate",
    "punctuation": "punctuation",
    "min_confidence": "min_confidence",
    "retry_models": "retry_models",
}
LISTEN = {
    "language": "language",
    "task": "task",
    "prompt": "prompt",
    "hotwords": "hotwords",
    "temperature": "temperature",
    "words": "return_timestamps",
    "vad_threshold": "vad_threshold",
    "vad_min_speech": "min_speech",
    "vad_min_silence": "min_silence",
    "vad_pad": "pad",
    "denoise": "noise_reduction",
    "guards": "guards",
    "punctuate": "punctuate",
    "live": "live",
    "partial_interval": "partial_interval",
    "channels": "channels",
    "rate": "rate",
    "format": "format",
    "model": "model",
}
SPEAK_STREAM = (
    *("voice", "language", "speed", "emotion", "vocoder", "seed", "pitch", "energy", "noise", "noise_duration", "pause"),
    *("temperature", "dropout", "ssml", "normalise"),
)
SPEAK = (*SPEAK_STREAM, "check", "verify", "verify_model", "retries")


def told(what: str, given: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """The options that are given, under the server's names. Raises UnsupportedError for one that the engine has and a server has not, and
    TypeError for one that nobody has."""
    out = {}
    for name, value in given.items():
        if value is None:
            continue
        if name not in known:
            raise errors.UnsupportedError(f"{what} on a server takes no {name}={value!r}; its options are {', '.join(known)}")
        out[known[name]] = value
    return out


def transcribe_fields(model: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of /stt/transcribe. Times of words are given unless they are off, as the engine does it."""
    fields = {"return_timestamps": True, **told("transcribing", given, TRANSCRIBE)}
    return _with_model(model, _heard(fields))


def listen_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of /stt/stream's start, with `rate` and `format` as they are given."""
    fields = {"return_timestamps": True, **told("listening", given, LISTEN)}
    return _with_model(fields.pop("model", None), _heard(fields))


def _heard(fields: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(fields.get("hotwords", ""), str):
        fields["hotwords"] = ",".join(_texts("hotwords", fields["hotwords"]))
    if "retry_models" in fields:
        fields["retry_models"] = _texts("retry_models", fields["retry_models"])
    return fields


def _texts(name: str, given: Any) -> list[str]:
    if isinstance(given, (str, bytes)):
        raise TypeError(f"{name} is a list of texts, not one text")
    texts = list(given)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name} must hold texts, not {type(text).__name__}")
        if name == "hotwords" and "," in text:
            raise errors.ArgumentError(f"{text!r} is no hotword: a list of them holds texts without commas")
    return texts


def speak_fields(model: str | None, given: Mapping[str, Any], known: tuple[str, ...] = SPEAK) -> dict[str, Any]:
    """Of /tts/synthesize. As with the engine speech is rated only where `check` asks for it."""
    fields = told("speaking", given, {name: name for name in known})
    if "voice" in fields:
        fields["voice"] = _voice(fields["voice"])
    if "check" in known:
        fields["quality"] = fields.get("check") is True
    return _with_model(model, fields)


def _voice(voice: Any) -> str:
    if isinstance(voice, Voice):
        return voice.name
    if isinstance(voice, os.PathLike):
        raise errors.UnsupportedError(f"a server takes voices by name, not the file {os.fspath(voice)!r}; add_voice puts it into its bank")
    return str(voice) if isinstance(voice, int) and not isinstance(voice, bool) else voice


def _with_model(model: Any, fields: dict[str, Any]) -> dict[str, Any]:
    if model is None:
        return fields
    if not isinstance(model, str):
        raise TypeError(f"model must be a name, not {type(model).__name__}: models of an engine are in another process")
    return {"model": model, **fields}


def form_fields(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Values as texts of a form; None is left out, a list is a field several times."""
    out = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                out.append((name, _text(name, one)))
    return out


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if hasattr(value, "__index__") or hasattr(value, "__float__"):
        return str(value)
    raise TypeError(f"{name} must be text, a number or a switch, not {type(value).__name__}")
