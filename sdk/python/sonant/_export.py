"""Models written for other programs, and with narrower weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from sonant import errors
from sonant._base import EngineBase, Model, name_of
from sonant._binding import PRECISION, TASK, Call, Cancel, Options, check_zeros, choice, ffi, lib, text, utf8
from sonant._progress import bar, finish, move
from sonant.types import Exported, ExportedGraph, Quantized, QuantizedLayer

__all__ = ["Exporting", "PartProgress"]

PartProgress = Callable[[str, float | None], object]
"""The part that is about to be done (a graph, a tensor, a text), and the share of all that is done, 0 to 1; None: not known. What it
raises ends the call and comes out of it."""

NARROW = {name: PRECISION[name] for name in ("int8", "bf16")}


class Exporting(EngineBase):
    """The engine's part for models as files.

    model, in all of them: a `Model` or what `load` takes; None or "auto": the default model of `task` ("transcribe", "speak", ...).
    directory: new or empty; it appears whole or not at all. progress: a `PartProgress`, or True: a bar of tqdm. cancel: an event; when it
    is set the call ends before the next part, as it does when progress raises, and by Ctrl-C.

    All raise, besides what they name, NotFoundError (model, folder of the directory), ModelError, UnsupportedError, ArgumentError (the
    directory has files in it; an option out of range), TypeError, IoError, NoSpaceError, CancelledError, ClosedError, EngineMemoryError."""

    def export(
        self,
        model: Model | str | None,
        directory: str | os.PathLike[str],
        *,
        sequences: int | None = None,
        windows: int | None = None,
        task: str | None = None,
        progress: PartProgress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Exported:
        """Writes a model as ONNX: a file for each graph, their weights in float32 beside them, tokenizer, configuration, and manifest.json,
        which names graphs, inputs, outputs, states, types and shapes. ONNX Runtime is not needed for it; docs/onnx.md says how a program
        runs them. The model is loaded once more for it.

        sequences, windows: Whisper: that the states have room for, 1 to 64 (1 and 1).

        Raises UnsupportedError where the model has no graphs: one that comes as ONNX (Kokoro), Griffin-Lim."""
        check_zeros(dict.fromkeys(("sequences", "windows"), f"1 to {lib.SN_EXPORT_MAX}"), {"sequences": sequences, "windows": windows})
        options, target = Options("sn_export_options"), utf8("directory", directory)
        options.set_whole(sequences=sequences, windows=windows)
        given = _common(options, model, task)
        with self._handle as engine:
            following = _Parts(progress, "exporting", cancel)
            following.run(options, lambda err: lib.sn_model_export(engine, given, options.pointer, target, err))
        return _exported(os.fsdecode(target))

    def quantize(
        self,
        model: Model | str | None,
        directory: str | os.PathLike[str],
        *,
        precision: str,
        measure: str | os.PathLike[str] | None = None,
        language: str | None = None,
        task: str | None = None,
        progress: PartProgress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Quantized:
        """Writes a checkpoint with narrower weights, which is loaded like any other by its directory, on all backends; docs/models.md says
        how tensors are stored.

        precision: "int8" (matrices, with a scale for each row) or "bf16". measure: a folder of texts (NAME.txt), and for a model that
        transcribes of the clips that they are said in (NAME.wav, ...): word errors before and after. What a model speaks is heard by the
        default model that transcribes. language: of those texts; None: the model's, or as it is detected.

        Raises UnsupportedError (weights inside of an ONNX graph; a model with nothing to narrow); with `measure` what `transcribe` and
        `speak` raise."""
        options, target = Options("sn_quantize_options"), utf8("directory", directory)
        options.pointer.precision = choice("precision", precision, NARROW)
        options.set_text(measure=measure, language=language)
        given, held = _common(options, model, task), ffi.new("sn_quantized **")
        with self._handle as engine:
            following = _Parts(progress, "quantizing", cancel)
            try:
                following.run(options, lambda err: lib.sn_model_quantize(held, engine, given, options.pointer, target, err))
                return _quantized(held[0], os.fsdecode(target))
            finally:
                lib.sn_quantized_free(held)


def _common(options: Options, model: Any, task: str | None) -> Any:
    """Fills in the task, and gives the model's name for C."""
    if task is not None:
        options.pointer.task = choice("task", task, TASK)
    return ffi.NULL if model is None else options.keep(ffi.new("char[]", utf8("model", name_of(model))))


class _Parts:
    """A call that tells its parts, and who is told them."""

    def __init__(self, progress: Any, what: str, cancel: Cancel | None) -> None:
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"progress must be a function of a part and a share, or True for a bar of tqdm, not {type(progress).__name__}")
        self.call = Call(cancel=cancel)
        self.call.part = self.show
        self.function = None if isinstance(progress, bool) else progress
        self.bar = bar(what, " parts") if progress is True else None

    def run(self, options: Options, function: Callable[[Any], int]) -> None:
        options.pointer.progress, options.pointer.payload = lib.sonant_part, self.call.payload
        with nullcontext() if self.bar is None else self.bar:
            self.call.end(function(self.call.err))
            if self.bar is not None:
                finish(self.bar)

    def show(self, part: str, share: float) -> None:
        known = None if share < 0 else share
        if self.function is not None:
            self.function(part, known)
        if self.bar is not None:
            self.bar.set_postfix_str(part, refresh=False)
            if known is not None:
                self.bar.unit = " %"
                move(self.bar, 100 * known, 100)
            elif not self.bar.total:
                self.bar.update()


def _exported(path: str) -> Exported:
    """What was written says it best."""
    try:
        with open(os.path.join(path, "manifest.json"), encoding="utf-8") as file:
            said = json.load(file)
        size = sum(entry.stat().st_size for entry in os.scandir(path))
    except (OSError, ValueError) as error:
        raise errors.IoError(f"what was written to {path!r} cannot be read: {error}") from error
    return Exported(
        path=path,
        model=said["model"],
        architecture=said["architecture"],
        task=said["task"],
        graphs=tuple(_graph(graph) for graph in said["graphs"]),
        parameters=said["parameters"],
        bytes=size,
    )


def _graph(graph: Any) -> ExportedGraph:
    def names(ports: str, key: str = "name") -> tuple[str, ...]:
        return tuple(port[key] for port in graph[ports])

    return ExportedGraph(graph["name"], graph["file"], names("inputs"), names("outputs"), names("states", "input"))


def _quantized(q: Any, path: str) -> Quantized:
    measured = q.texts > 0
    return Quantized(
        path=path,
        model=text(q.model),
        architecture=text(q.architecture),
        precision=text(q.precision),
        parameters=q.parameters,
        bytes_f32=q.bytes_f32,
        bytes_before=q.bytes_before,
        bytes=q.bytes,
        error=q.error,
        layers=tuple(_layer(q.layers[i]) for i in range(q.layer_count)),
        texts=q.texts,
        words=q.words,
        wer_before=q.wer_before if measured else None,
        wer_after=q.wer_after if measured else None,
    )


def _layer(layer: Any) -> QuantizedLayer:
    return QuantizedLayer(
        name=text(layer.name),
        type=text(layer.type),
        rows=layer.rows,
        columns=layer.columns,
        bytes_before=layer.bytes_before,
        bytes=layer.bytes,
        error=layer.error,
    )
