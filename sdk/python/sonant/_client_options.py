"""The engine's options as the server's fields."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from sonant import errors
from sonant.types import Voice

__all__ = [
    "ListenOptions",
    "LiveOptions",
    "SpeakOptions",
    "SpeakStreamOptions",
    "TranscribeOptions",
    "form_fields",
    "listen_fields",
    "plain",
    "speak_fields",
    "speak_stream_fields",
    "transcribe_fields",
]


class ListenOptions(TypedDict, total=False):
    """How a server listens. What is left out or None is the default in brackets; what each does stands with the engine's options."""

    language: str | None
    """A code or English name, or "auto" ("auto")."""
    task: str | None
    """"transcribe", or "translate" into English."""
    prompt: str | None
    """Text that the audio is taken to follow. At most 4096 bytes."""
    hotwords: str | Sequence[str] | None
    """Words and phrases that are made likelier; in one text they are separated by commas."""
    temperature: float | None
    """First temperature, 0 to 1 (0)."""
    words: bool | None
    """Times of words (on)."""
    vad_threshold: float | None
    """Probability from which on it is speech, above 0 and below 1 (0.5)."""
    vad_min_speech: int | None
    """ms; shorter stretches are dropped (0; live: 100)."""
    vad_min_silence: int | None
    """ms; a shorter silence does not end a stretch of speech (160; live: 400)."""
    vad_pad: int | None
    """ms of silence kept on both sides of speech (400)."""
    denoise: bool | None
    """Take noise out before anything else hears the audio (off)."""
    guards: bool | None
    """Against loops, text on silence, echoes of the prompt (on)."""
    punctuate: bool | None
    """Write marks and capitals for models that write none (on there)."""


class LiveOptions(ListenOptions, total=False):
    """How a server listens to a speaker who is still speaking."""

    model: str | None
    """A name (the server's default)."""
    rate: int | None
    """Hz of arrays and of bytes without a container, 1000 to 768000 (16000)."""
    format: str | None
    """Of bytes: "pcm16" (little endian), "float32", "g711_ulaw", "g711_alaw", or a container: "webm", "opus", "ogg", "mp3", "flac", "wav",
    "auto" ("pcm16")."""
    channels: int | None
    """Of bytes without a container, 1 to 8; they are averaged (1)."""
    live: bool | None
    """False: no `Partial` and `Commit` (True)."""
    partial_interval: int | None
    """Milliseconds of new speech between two partials; -1: none (320, more where there are many sessions)."""


class TranscribeOptions(ListenOptions, total=False):
    """How a server transcribes."""

    beam_size: int | None
    """1 (greedy) to 16 (5)."""
    fallback: bool | None
    """Repeat doubtful windows at higher temperatures (on)."""
    seed: int | None
    """Of sampling at temperatures above 0 (0)."""
    timestamps: bool | None
    """Times within a window of 30 s (on); off: one segment a window."""
    vad: bool | None
    """Decode only speech, windows in batches (where silero-vad is installed)."""
    condition: bool | None
    """Without vad: give each window the text before it (on)."""
    punctuation: str | None
    """A model that writes marks and capitals (an installed one, else rules)."""
    min_confidence: float | None
    """0 to 1: below it the retry models try (0.6 with retry_models)."""
    retry_models: Sequence[str] | None
    """At most 8 names of models that try in this order; the most confident result is kept, `attempts` names all."""


class SpeakStreamOptions(TypedDict, total=False):
    """How a server speaks while the speech is sent. What is left out or None is the model's or the server's own."""

    voice: str | int | Voice | None
    """A speaker of the model by name or number, or a voice of the bank."""
    language: str | None
    """Of the text: a code or an English name."""
    speed: float | None
    """0.25 to 4; 1: the voice's own."""
    emotion: str | None
    """One of the model's."""
    vocoder: str | None
    """A name, or "griffin-lim", for models that make mel spectrograms."""
    seed: int | None
    """Of the model's noise; None is 0."""
    pitch: float | None
    """0.25 to 4 times what the model predicts."""
    energy: float | None
    """0.25 to 4 times what the model predicts."""
    noise: float | None
    """Of the voice, 0 to 2; 0: none."""
    noise_duration: float | None
    """Of its rhythm, 0 to 2; 0: none."""
    pause: float | None
    """Seconds of silence between sentences, 0 to 10."""
    temperature: float | None
    """Of sampled tokens, 0 to 2; 0: the likeliest token always."""
    dropout: bool | None
    """Of prenets that draw it while speaking."""
    ssml: bool | None
    """The text is SSML; None: where it begins with "<speak" or "<?xml"."""
    normalise: bool | None
    """Read numbers, dates, units and abbreviations as words; None: yes."""


class SpeakOptions(SpeakStreamOptions, total=False):
    """How a server speaks."""

    check: bool | None
    """True: rate the speech (`quality_score`); False: do not look at it either. None: bad sentences are spoken again."""
    verify: bool | None
    """Read each sentence back, speak it again where words differ, and tell the `word_error_rate`."""
    verify_model: str | None
    """That reads back."""
    retries: int | None
    """How often a bad sentence is spoken again at most, 0 to 8; None: once."""


ENGINES = {
    *(TranscribeOptions.__annotations__ | LiveOptions.__annotations__ | SpeakOptions.__annotations__),
    *("batch", "previous_tokens", "start", "length", "priority", "share", "inspect"),
}
"""Names of the engine's options, wherever they are options of a server."""
HEARD = {"words": "return_timestamps", "denoise": "noise_reduction"}
LIVE = {**HEARD, "vad_min_speech": "min_speech", "vad_min_silence": "min_silence", "vad_pad": "pad", "rate": "sample_rate"}
"""Fields that the server calls otherwise."""


def _fields(what: str, given: Mapping[str, Any], options: type, names: Mapping[str, str]) -> dict[str, Any]:
    """The options that are given, under the server's names. Raises UnsupportedError for what only the engine takes, TypeError for what
    nobody does."""
    known = options.__annotations__
    for name, value in given.items():
        if name not in ENGINES and name not in known:
            raise TypeError(f"there is no option {name!r}; options are {', '.join(known)}")
        if name not in known and value is not None:
            raise errors.UnsupportedError(f"{what} on a server takes no {name}={value!r}; its options are {', '.join(known)}")
    return {names.get(name, name): value for name, value in given.items() if value is not None}


def transcribe_fields(model: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of /stt/transcribe. Times of words are given unless they are off, as the engine does it."""
    return _heard({"model": model, "return_timestamps": True, **_fields("transcribing", given, TranscribeOptions, HEARD)})


def listen_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of /stt/stream's start; `sample_rate` and `format` only where they are given."""
    return _heard({"return_timestamps": True, **_fields("listening", given, LiveOptions, LIVE)})


def _heard(fields: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(fields.get("hotwords", ""), str):
        fields["hotwords"] = ",".join(_texts("hotwords", fields["hotwords"]))
    if "retry_models" in fields:
        fields["retry_models"] = _texts("retry_models", fields["retry_models"])
    return _named(fields)


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


def speak_fields(model: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of /tts/synthesize. As with the engine speech is rated only where `check` asks for it."""
    fields = {"model": model, **_fields("speaking", given, SpeakOptions, {})}
    return _named({**_voiced(fields), "quality": fields.get("check") is True})


def speak_stream_fields(model: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of /tts/stream's start."""
    return _named(_voiced({"model": model, **_fields("a stream of speech", given, SpeakStreamOptions, {})}))


def _voiced(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "voice": _voice(fields["voice"])} if "voice" in fields else fields


def _voice(voice: Any) -> str:
    if isinstance(voice, Voice):
        return voice.name
    if isinstance(voice, os.PathLike):
        raise errors.UnsupportedError(f"a server takes voices by name, not the file {os.fspath(voice)!r}; add_voice puts it into its bank")
    return str(voice) if isinstance(voice, int) and not isinstance(voice, bool) else voice


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    model = fields.get("model")
    if model is not None and not isinstance(model, str):
        raise TypeError(f"model must be a name, not {type(model).__name__}: models of an engine are in another process")
    return {name: plain(name, value) for name, value in fields.items() if value is not None}


def plain(name: str, value: Any) -> Any:
    """A value as JSON has it: text, a number (numpy's, too) or a switch, or a list of texts. Raises TypeError, ArgumentError (a number
    that is not finite, half of a surrogate pair)."""
    if isinstance(value, list):
        return [plain(name, one) for one in value]
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            bad = f"U+{ord(value[error.start]):04X} at character {error.start}"
            raise errors.ArgumentError(f"{name} has half of a surrogate pair, {bad}, which is no character") from None
        return value
    if isinstance(value, bool):
        return value
    if hasattr(value, "__index__"):
        return int(value)
    if not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be text, a number or a switch, not {type(value).__name__}")
    if not math.isfinite(value):
        raise errors.ArgumentError(f"{name} is {value}; it must be a finite number")
    return float(value)


def form_fields(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Values as texts of a form; None is left out, a list is a field several times."""
    out = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                known = plain(name, one)
                out.append((name, str(known).lower() if isinstance(known, bool) else str(known)))
    return out
