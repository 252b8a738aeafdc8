"""Models and voices of an engine's home."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from sonant import errors, models
from sonant._base import EngineBase, Model
from sonant._binding import Cancel, Options, check, ffi, lib, message_buffer, text, utf8
from sonant._files import as_path
from sonant._samples import as_source
from sonant.models import PullProgress
from sonant.types import ModelEntry, Pulled, Verified, Voice

__all__ = ["Store"]

KIND_NAME = {lib.SN_VOICE_SPEAKER: "speaker", lib.SN_VOICE_EMBEDDING: "embedding", lib.SN_VOICE_PRESET: "preset", lib.SN_VOICE_CLIP: "clip"}


class Store(EngineBase):
    """The engine's part for models and voices on disk."""

    def models(self) -> tuple[ModelEntry, ...]:
        """What the catalogue knows and what is installed. Reads the disk, loads nothing.

        Raises ModelError (a damaged catalogue), IoError."""
        return models.entries(self)

    def pull(
        self,
        name: str,
        *,
        revision: str | None = None,
        source: str | None = None,
        include: str | Iterable[str] | None = None,
        endpoint: str | None = None,
        token: str | None = None,
        index: str | None = None,
        certificates: str | None = None,
        dry: bool = False,
        force: bool = False,
        progress: PullProgress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Pulled:
        """Installs a model in this engine's home; see `sonant.models.pull`."""
        return models.pull(
            name,
            home=self.home,
            revision=revision,
            source=source,
            include=include,
            endpoint=endpoint,
            token=token,
            index=index,
            certificates=certificates,
            dry=dry,
            force=force,
            progress=progress,
            cancel=cancel,
        )

    def verify(self, name: str, *, progress: PullProgress | bool | None = None, cancel: Cancel | None = None) -> Verified:
        """Compares an installed model of this engine's home with its hashes; see `sonant.models.verify`."""
        return models.verify(name, home=self.home, progress=progress, cancel=cancel)

    def remove(self, name: str, *, force: bool = False) -> int:
        """Deletes a model of this engine's home; bytes freed. See `sonant.models.remove`. Close it before (`Model.close`): one that
        this process has open is a BusyError."""
        return models.remove(name, home=self.home, force=force)

    def voices(self, model: Model | str | None = None) -> tuple[Voice, ...]:
        """The voices of the bank and, with a model, the speakers inside it, which come first. A damaged voice is left out, and the
        logger "sonant" says so.

        Raises what `load` raises for the model; IoError, LimitError."""
        held, err = ffi.new("sn_voice_list **"), message_buffer()
        with ExitStack() as stack:
            loaded = self._borrow(model, stack)
            check(lib.sn_voice_list_read(held, stack.enter_context(self._handle), loaded, err), err)
            try:
                return tuple(_voice(held[0].entries[i]) for i in range(held[0].count))
            finally:
                lib.sn_voice_list_free(held)

    def add_voice(
        self,
        name: str,
        source: Any = None,
        *,
        rate: int | None = None,
        model: Model | str | None = None,
        language: str | None = None,
        licence: str | None = None,
        origin: str | None = None,
        speaker: str | None = None,
    ) -> Voice:
        """Adds a voice to the bank, whole or not at all.

        source: audio of a voice, at least a second of it, of which the first minute counts: a path, bytes, a binary file, or samples
        with `rate` (see `transcribe`); an embedding (.npy) or preset (.npz), as a path or bytes; or a folder that `export_voice` wrote.
        model: a speaker encoder, or one that speaks and embeds, which makes the embedding now; None: the clip itself is kept, and each
        model embeds it when it speaks. speaker: instead of a source, name or number of a speaker inside the model. language, licence,
        origin (where it comes from): free text that is kept with it.

        Raises ArgumentError (a bad name, one that is taken, a clip that is too short, a file that does not fit the model),
        UnsupportedError (the model makes no embeddings), NotFoundError, FormatError, LimitError, IoError, NoSpaceError."""
        facts = Options("sn_voice_facts")
        facts.set_text(language=language, licence=licence, source=origin, speaker=speaker)
        err, given = message_buffer(), utf8("name", name)
        with ExitStack() as stack:
            path = ffi.NULL if source is None else stack.enter_context(as_path(as_source(source, rate)))
            loaded = self._borrow(model, stack)
            check(lib.sn_voice_add(stack.enter_context(self._handle), loaded, given, path, facts.pointer, err), err)
        return next((voice for voice in self.voices() if voice.name == name), Voice(name, in_bank=True))

    def remove_voice(self, name: str) -> None:
        """Removes a voice from the bank.

        Raises ArgumentError (a bad name), NotFoundError, IoError."""
        err = message_buffer()
        with self._handle as engine:
            check(lib.sn_voice_remove(engine, utf8("name", name), err), err)

    def export_voice(self, name: str, path: str | os.PathLike[str]) -> str:
        """Copies a voice out of the bank: where `path` is a folder, into a new folder NAME below it, which `add_voice` takes on another
        machine; else its data to the file `path`. Nothing is overwritten. Gives the path of what was written.

        Raises ArgumentError (a speaker has no data to write; the target exists), NotFoundError, IoError, NoSpaceError."""
        err, given = message_buffer(), utf8("path", path)
        target = os.path.join(given, utf8("name", name)) if os.path.isdir(given) else given
        with self._handle as engine:
            check(lib.sn_voice_export(engine, utf8("name", name), given, err), err)
        return os.fsdecode(target)

    def _borrow(self, model: Model | str | None, stack: ExitStack) -> Any:
        """A model's pointer while the stack lasts; a model that is named is given back then."""
        if model is None:
            return ffi.NULL
        if isinstance(model, (str, os.PathLike)):
            model = stack.enter_context(self.load(model))
        elif not isinstance(model, Model):
            raise TypeError(f"model must be a name or a Model, not {type(model).__name__}")
        elif model.engine is not self:
            raise errors.ArgumentError(f"the model {model.name} belongs to another engine")
        return stack.enter_context(model._handle)


def _voice(e: Any) -> Voice:
    return Voice(
        name=text(e.name),
        kind=KIND_NAME.get(e.kind, ""),
        in_bank=bool(e.in_bank),
        model=text(e.model),
        architecture=text(e.architecture),
        speaker=text(e.speaker),
        language=text(e.language),
        licence=text(e.licence),
        source=text(e.source),
        created=text(e.created),
        embedding=e.embedding,
        path=text(e.path),
    )
