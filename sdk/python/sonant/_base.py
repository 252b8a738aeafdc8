"""The engine's handle and its models, which all that it does stands on."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._binding import (
    PRECISION,
    TASK,
    TASK_NAME,
    Handle,
    Options,
    check,
    check_zeros,
    choice,
    ffi,
    lib,
    message_buffer,
    text,
    texts,
    utf8,
)
from sonant.types import ModelInfo

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EngineBase", "Model", "name_of"]

CONTROLS = ("speed", "pitch", "energy", "noise", "temperature", "dropout")


def _info(pointer: Any) -> ModelInfo:
    i = ffi.new("sn_model_info *")
    lib.sn_model_describe(pointer, i)
    return ModelInfo(
        name=text(i.name),
        path=text(i.path),
        architecture=text(i.architecture),
        precision=text(i.precision),
        task=TASK_NAME.get(i.task, ""),
        parameters=i.parameters,
        sample_rate=i.sample_rate,
        languages=texts(i.languages, i.language_count),
        detects_language=bool(i.detects_language),
        translates=bool(i.translates),
        streams=bool(i.streams),
        words=bool(i.has_words),
        speakers=i.speakers,
        speaker_names=texts(i.speaker_names, i.speakers),
        emotions=texts(i.emotions, i.emotion_count),
        controls=tuple(name for name in CONTROLS if getattr(i, "has_" + name)),
        clones=bool(i.embeds),
        presets=bool(i.has_presets),
        embedding=i.embedding,
        vocoder=text(i.vocoder),
        windows=i.windows,
        memory=i.memory,
        load_time=i.load_time,
        from_cache=bool(i.from_cache),
        backend=text(lib.sn_model_backend(pointer)),
        mel=text(i.mel),
        memory_most=i.memory_most,
    )


class Model:
    """A loaded model, made by `Engine.load`. Its weights stay while somebody holds it or uses it; threads may share it."""

    def __init__(self, engine: EngineBase, handle: Handle, info: ModelInfo | None = None) -> None:
        """info: where it is known."""
        self.engine, self._handle = engine, handle
        with handle as pointer:
            self.info: ModelInfo = _info(pointer) if info is None else info

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def task(self) -> str:
        return self.info.task

    def close(self) -> None:
        """Gives the model back; what uses it now ends first."""
        self._handle.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        closed = ", closed" if self._handle.closed else ""
        return f"<sonant.Model {self.info.name} ({self.info.architecture}, {self.info.precision}{closed})>"


def name_of(model: Model | str | None) -> str | None:
    """What C finds the model by. One of no catalogue is called as its file or folder is, and is found by its path."""
    if not isinstance(model, Model):
        return model
    return model.info.path if model.name == os.path.basename(model.info.path) else model.name


class EngineBase:
    """Threads that compute, and models that are loaded."""

    def __init__(
        self,
        *,
        threads: int | None = None,
        home: str | None = None,
        precision: str | None = None,
        cache: bool = True,
        max_memory: int | None = None,
        backend: str | None = None,
    ) -> None:
        """threads: that compute; None: the CPUs this process may use. home: models and caches; None: $SONANT_HOME, else ~/.cache/sonant.
        precision: of models loaded without one of their own: "auto", "f32", "bf16", "int8". cache: keep packed weights on disk.
        max_memory: bytes that loaded models may take. backend: what computes: "cpu" (Sonant's own kernels, the default), or ONNX Runtime:
        "ort", "ort:cuda", "ort:tensorrt", "ort:openvino".

        Raises ArgumentError, DependencyError (what the backend needs is not there), EngineMemoryError."""
        options = Options("sn_engine_options")
        check_zeros(
            {"threads": f"1 to {lib.SN_MAX_THREADS}", "max_memory": "a number of bytes"}, {"threads": threads, "max_memory": max_memory}
        )
        options.set_whole(threads=threads, max_memory=max_memory)
        options.set_text(home=home, backend=backend)
        options.pointer.precision = choice("precision", precision, PRECISION)
        options.pointer.no_cache = not cache
        err, held = message_buffer(), ffi.new("sn_engine **")
        self._handle = Handle("engine", held, lib.sn_engine_close)
        check(lib.sn_engine_open(held, options.pointer, err), err)
        self._models: dict[tuple[str | None, str, str | None, str | None], tuple[Handle, ModelInfo]] = {}
        """Not as Models, which hold the engine: one that nobody holds goes at once, and not when garbage is collected."""
        self._models_lock = threading.Lock()
        self._sessions: weakref.WeakSet[Any] = weakref.WeakSet()
        """Streams that are open."""

    def load(
        self,
        name: str | None = None,
        *,
        task: str | None = None,
        precision: str | None = None,
        windows: int | None = None,
        backend: str | None = None,
        language: str | None = None,
    ) -> Model:
        """Loads a model, or takes another reference to one that is loaded with the same options.

        name: of the catalogue, an alias ("openai/whisper-base", "base", "joe"), a directory, or a weights file; None or "auto": the
        default model of the task ("transcribe", "speak", ...). windows: of 30 s that a Whisper decodes together.
        backend: what computes it, as of `Engine`; None: the engine's. language: that the default model is to know; None: any.

        Raises NotFoundError (says how to install it), ModelError, UnsupportedError, DependencyError, LimitError, EngineMemoryError."""
        options = Options("sn_model_options")
        options.set_text(backend=backend, language=language)
        options.pointer.precision = choice("precision", precision, PRECISION)
        check_zeros({"windows": "1 to 32"}, {"windows": windows})
        options.set_whole(windows=windows)
        if task is not None:
            options.pointer.task = choice("task", task, TASK)
        err, held = message_buffer(), ffi.new("sn_model **")
        given = ffi.NULL if name is None else ffi.new("char[]", utf8("name", name))
        handle = Handle("model", held, lib.sn_model_release, self._handle)
        with self._handle as engine:
            check(lib.sn_model_load(held, engine, given, options.pointer, err), err)
        return Model(self, handle)

    def _model(self, model: Model | str | None, task: str, precision: str | None = None, *, language: str | None = None) -> Model:
        """A model for a call: the given one, or a name's, which then stays loaded until the engine is closed. Two threads that ask for it
        at once load it twice, which the library makes one of, so that nobody waits for the loading of another model."""
        if isinstance(model, Model):
            if model.engine is not self:
                raise errors.ArgumentError(f"the model {model.name} belongs to another engine")
            return model
        if not (model is None or isinstance(model, (str, os.PathLike))):
            raise TypeError(f"model must be a Model, a name or None, not {type(model).__name__}")
        is_auto = model is None or model == "auto"
        key = (None if is_auto else model, task, precision, language if is_auto else None)
        with self._models_lock:
            known = self._models.get(key)
        if known is not None and not known[0].closed:
            return Model(self, *known)
        loaded = self.load(model, task=task, precision=precision, language=language)
        with self._models_lock:
            known = self._models.get(key)
            if known is None or known[0].closed:
                known = self._models[key] = loaded._handle, loaded.info
        if known[0] is not loaded._handle:
            loaded.close()
        return Model(self, *known)

    @property
    def closed(self) -> bool:
        return self._handle.closed

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self._describe()[0]

    @property
    def home(self) -> str:
        """Where models and caches lie."""
        return self._describe()[1]

    @property
    def cpu(self) -> str:
        """Instruction sets in use."""
        return self._describe()[2]

    def _describe(self) -> tuple[int, str, str]:
        info = ffi.new("sn_engine_info *")
        with self._handle as engine:
            lib.sn_engine_describe(engine, info)
            return info.threads, text(info.home), text(info.cpu)  # which are the engine's

    def close(self) -> None:
        """Ends open streams, gives back models and threads; calls under way end first. More than once is nothing."""
        with self._models_lock:
            models, self._models = list(self._models.values()), {}
            sessions = list(self._sessions)
        for session in sessions:
            session.close()
        for handle, _ in models:
            handle.close()
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()
