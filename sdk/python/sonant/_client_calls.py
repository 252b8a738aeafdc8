"""What a client can be asked, as steps: `Client` and `AsyncClient` have these as methods."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sonant import errors
from sonant._client_body import Form, replacing, upload_of
from sonant._client_options import (
    LiveOptions,
    SpeakOptions,
    SpeakStreamOptions,
    TranscribeOptions,
    form_fields,
    listen_fields,
    plain,
    speak_fields,
    speak_stream_fields,
    transcribe_fields,
)
from sonant._client_steps import Apart, Emit, Flow, Pause, Read, Server, Steps, Watch
from sonant._client_talk import EventParser, Source, listening, speaking, speaking_whole
from sonant._client_types import Job, JobItem
from sonant._client_wire import (
    JSON,
    Reply,
    Request,
    analysis,
    conversion,
    enhanced_audio,
    enhancement,
    facts_of,
    has,
    job,
    job_item,
    json_of,
    model_entry,
    model_info,
    models_loaded,
    pull_state,
    quality,
    segment,
    speech,
    transcript,
    voice,
    word,
)
from sonant._progress import following
from sonant._signature import spelled
from sonant.types import (
    Analysis,
    Conversion,
    Enhancement,
    Event,
    ModelEntry,
    ModelInfo,
    Pulled,
    PullState,
    Quality,
    Segment,
    Speech,
    SpeechChunk,
    Transcript,
    Voice,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sonant._listen import Chunk
    from sonant._values import Cancel, Progress

__all__ = ["Calls"]

POLL_FIRST, POLL_MOST, POLL_GROWS = 0.1, 5.0, 1.5
"""Seconds between looks at a job, which grow."""
ENDINGS = {"wave": "wav", "ogg": "opus", "oga": "opus", "raw": "pcm"}
"""Endings of files that are not the format's name."""
PAGE = 100
"""Results of a job that are asked for together."""


class Calls(Server):
    """Every call of a client. sources are as the engine's: a path, the bytes of a file, a binary file (which is read while it is sent), or
    samples with `rate`."""

    # -- speech to text --

    @spelled(TranscribeOptions)
    def transcribe(
        self,
        source: Any,
        *,
        rate: int | None = None,
        model: str | None = None,
        on_segment: Callable[[Segment], object] | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Steps[Transcript]:
        """A whole transcription, as `Engine.transcribe` gives it.

        source: a path, which is read while it is sent; the bytes of a file; a binary file object; an `Audio`; or samples, a [frames] or
        [frames, channels] array (which is averaged) of float32, float64, float16, int16 or int32: [frames] of int16 travel as they are,
        everything else as float32. rate: Hz of an array (16000). model: a name, or None: the server's default. on_segment: called with
        each `Segment` as it is found. progress: called with seconds heard and in all (0: not known), or True: a bar of tqdm. cancel: an
        event; when it is set the call ends, and the server stops. options: the engine's, but
        that a server takes no batch, previous_tokens, start, length, priority and share.

        Raises what the engine raises, and UnreachableError, LostError (both are ConnectionErrors), DeniedError (a PermissionError: the
        key), BusyError, EngineTimeoutError, IncompatibleError."""
        fields = transcribe_fields(model, options)
        with following(progress, "transcribe") as moved:
            yield Watch(cancel)
            if on_segment is None and moved is None:
                request = yield Apart(lambda: _heard(source, rate, fields))
                return transcript((yield from self.ask_json(request)))
            found: list[Segment] = []

            def take(one: Segment) -> None:
                found.append(one)
                if on_segment is not None:
                    on_segment(one)
                if moved is not None:
                    moved(one.end, 0.0)

            request = yield Apart(lambda: _heard(source, rate, fields, stream=True))
            done = yield from self._each_segment(request, take)
            heard = transcript(done, tuple(found))
            if moved is not None:
                moved(heard.duration, heard.duration)
            return heard

    @spelled(TranscribeOptions)
    def segments(
        self,
        source: Any,
        *,
        rate: int | None = None,
        model: str | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Source[Segment, Transcript | None]:
        """An iterator of the `Segment`s as they are found, for audio of any length. Arguments and errors as in `transcribe`.

        It ends early by `close`, and the server stops. After the last segment its `info` is a `Transcript` without text and segments:
        language, duration, notes and so on."""
        fields = transcribe_fields(model, options)
        parser = EventParser()

        def flow() -> Flow[Segment]:
            yield Watch(cancel)
            request = yield Apart(lambda: _heard(source, rate, fields, stream=True))
            reply = yield from self.open(request)
            while parser.done is None and (data := (yield Read(reply))):
                for name, value in parser.feed(data):
                    if name == "segment":
                        yield Emit(_streamed(value))
            parser.end(self.url)

        return Source(flow(), lambda: None if parser.done is None else transcript({**parser.done, "text": "", "segments": ()}, ()))

    def _each_segment(self, request: Request, take: Callable[[Segment], None]) -> Steps[dict[str, Any]]:
        reply, parser = (yield from self.open(request)), EventParser()
        while parser.done is None and (data := (yield Read(reply))):
            for name, value in parser.feed(data):
                if name == "segment":
                    take(_streamed(value))
        done: dict[str, Any] = parser.end(self.url)
        return done

    @spelled(LiveOptions)
    def listen(
        self,
        chunks: Iterable[Chunk] | AsyncIterable[Chunk],
        *,
        cancel: Cancel | None = None,
        **options: Unpack[LiveOptions],
    ) -> Source[Event, None]:
        """Hears a speaker who is still speaking, as `Engine.listen` does, over a WebSocket.

        chunks: an iterable (or an asynchronous one) of samples as they come: arrays, or bytes cut anywhere (16-bit little endian, else
        format=); rate=: Hz (16000). Events come while it waits for its next chunk, since a thread of its own goes through it. options: see
        `LiveOptions`.

        Gives `Partial`, `Commit`, `Language`, `Note`, and for each utterance a `Segment`. Ended early (`close`, `with`, `cancel`), the
        server stops. A connection that breaks is a LostError; nothing is resumed."""
        if not isinstance(chunks, (Iterable, AsyncIterable)) or isinstance(chunks, (str, bytes, bytearray)) or hasattr(chunks, "__array__"):
            raise TypeError(f"chunks must be an iterable of arrays or bytes, such as a list of them, not {type(chunks).__name__}")
        return listening(self, listen_fields(options), chunks, Watch(cancel))

    # -- text to speech --

    @spelled(SpeakOptions)
    def speak(
        self,
        text: str,
        *,
        model: str | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Steps[Speech]:
        """Speaks a text, as `Engine.speak` does. The samples come with 16 bits, which is all that is lost.

        model: a name, or None: the server's default. progress: called once, with the seconds of speech, since the server tells no more; or
        True: a bar of tqdm. cancel: an event; when it is set the call ends, and the server stops. options: the
        engine's, but that a server takes no inspect and priority, and voices by name only.

        Raises what the engine raises, and as `transcribe`."""
        body = {"text": _checked(text), **speak_fields(model, options), "response_format": "wav"}
        with following(progress, "speak") as moved:
            yield Watch(cancel)
            made = speech((yield from self.ask_json(Request("POST", "/tts/synthesize", json=body))))
            if moved is not None:
                moved(made.duration, made.duration)
            return made

    @spelled(SpeakStreamOptions)
    def speak_stream(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        model: str | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakStreamOptions],
    ) -> Source[SpeechChunk, Speech]:
        """Speaks, and gives the speech while it is made.

        text: a text; or its pieces as a language model writes them (an iterable, or an asynchronous one), which go over a WebSocket and
        are spoken clause by clause, also while the next piece is waited for: then chunks say their sentence and marks. What pieces raise
        comes out of the stream. options: as in `speak`, but check, verify, verify_model and retries.

        Gives `SpeechChunk`s; `result` has facts of the whole. Ended early (`close`, `with`, `cancel`), the server stops."""
        fields = speak_stream_fields(model, options)
        if isinstance(text, str):
            body = {"text": _checked(text), **fields, "response_format": "pcm", "stream": True}
            return speaking_whole(self, Request("POST", "/tts/synthesize", json=body, accept="audio/*"), Watch(cancel))
        if not isinstance(text, (Iterable, AsyncIterable)) or isinstance(text, (bytes, bytearray, memoryview)):
            raise TypeError(f"text must be a str or an iterable of pieces of text, not {type(text).__name__}")
        return speaking(self, {**fields, "format": "pcm"}, text, Watch(cancel))

    # -- audio --

    def quality(
        self,
        source: Any,
        *,
        rate: int | None = None,
        model: str | None = None,
        scores: bool | None = None,
        personalised: bool | None = None,
        windows: int | None = None,
        vad_threshold: float | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Steps[Quality]:
        """What audio is like, as `Engine.quality` tells it. windows below 0: all. progress: called with bytes sent and in all, or True: a
        bar of tqdm. Raises as the engine and as `transcribe` do."""
        exact = windows is not None and windows < 0
        fields = {"model": model, "scores": scores, "personalised": personalised, "vad_threshold": vad_threshold}
        fields |= {"exact": True} if exact else {"windows": windows}
        return quality((yield from self._sent_json("/audio/quality", _Sending(source, rate, progress, cancel), fields)))

    def analyze(
        self,
        source: Any,
        *,
        rate: int | None = None,
        plot: str | os.PathLike[str] | None = None,
        width: int | None = None,
        height: int | None = None,
        language: bool | None = None,
        words: bool | None = None,
        model: str | None = None,
        scores: bool | None = None,
        vad_threshold: float | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Steps[Analysis]:
        """A look at audio, as `Engine.analyze` gives it; the language is told only where it is asked for. plot: a path, to which a picture
        (PNG) of width x height pixels is written, which the server is asked for by itself. What words found is one segment. progress:
        called with bytes sent and in all. Raises as the engine and as `transcribe` do."""
        if plot is None and (width, height) != (None, None):
            raise errors.ArgumentError("width and height are of a picture, and plot= names none")
        fields = {"language": language, "words": words, "model": model, "scores": scores, "vad_threshold": vad_threshold}
        sending = _Sending(source, rate, progress, cancel)
        found = analysis((yield from self._sent_json("/audio/analyze", sending, {**fields, "points": True})))
        if plot is not None:
            drawn = {**fields, "response_format": "png", "width": width, "height": height}
            yield from self._saved("/audio/analyze", plot, sending, drawn, "image/png")
        return found

    def convert(
        self,
        source: Any,
        out: str | os.PathLike[str] | None = None,
        *,
        rate: int | None = None,
        format: str | None = None,
        sample_rate: int | None = None,
        bits: int | None = None,
        bitrate: int | None = None,
        start: float | None = None,
        end: float | None = None,
        gain: float | None = None,
        loudness: float | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Steps[Conversion]:
        """Converts audio, as `Engine.convert` does, to a file or to bytes (`audio` of the result). Arguments as there; bitrate: whole
        kbit/s, in bit/s. progress: called with bytes sent and in all. Raises as the engine and as `transcribe` do."""
        fields: dict[str, Any] = {
            "response_format": format or _ending(out),
            "sample_rate": sample_rate,
            "bits": bits,
            "bitrate": _kilobits(bitrate),
        }
        fields |= {"start": start, "end": end, "gain": gain, "loudness": loudness}
        sending = _Sending(source, rate, progress, cancel)
        if out is not None:
            return conversion(facts_of((yield from self._saved("/audio/convert", out, sending, fields)), self.url), None)
        reply = yield from self._sent("/audio/convert", sending, fields, "audio/*")
        return conversion(facts_of(reply, self.url), reply.body)

    def enhance(
        self,
        source: Any,
        out: str | os.PathLike[str] | None = None,
        *,
        rate: int | None = None,
        format: str | None = None,
        denoise: bool | None = None,
        attenuation_limit: float | None = None,
        normalise: bool | None = None,
        loudness: float | None = None,
        ceiling: float | None = None,
        compress: bool | None = None,
        declip: bool | None = None,
        highpass: bool | None = None,
        scores: bool | None = None,
        sample_rate: int | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Steps[Enhancement]:
        """Makes a recording of speech better to listen to, as `Engine.enhance` does, in a file, or as an `Audio` with 16 bits (`audio` of
        the result; at most 64 MiB). Arguments as there. Where a file is written, the result does not tell the single stages. progress:
        called with bytes sent and in all. Raises as the engine and as `transcribe` do."""
        if format is not None and out is None:
            raise errors.ArgumentError(f"format={format!r} is for a file, and out= names none; without it the result is an Audio")
        fields: dict[str, Any] = {
            "denoise": denoise,
            "attenuation": attenuation_limit,
            "normalise": normalise,
            "loudness": loudness,
            "ceiling": ceiling,
        }
        fields |= {"compress": compress, "declip": declip, "highpass": highpass, "scores": scores, "sample_rate": sample_rate}
        fields |= {"response_format": "wav" if out is None else format or _ending(out)}
        sending = _Sending(source, rate, progress, cancel)
        if out is not None:
            return enhancement(facts_of((yield from self._saved("/audio/enhance", out, sending, fields)), self.url), None)
        value = yield from self._sent_json("/audio/enhance", sending, fields)
        return enhancement(value, enhanced_audio(value))

    def _sent(self, path: str, sending: _Sending, fields: Mapping[str, Any], accept: str) -> Steps[Reply]:
        with following(sending.progress, path.rpartition("/")[2], "B") as moved:
            yield Watch(sending.cancel, moved)
            form = yield Apart(lambda: sending.form(fields))
            return (yield from self.ask(Request("POST", path, form=form, accept=accept)))

    def _sent_json(self, path: str, sending: _Sending, fields: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        return json_of((yield from self._sent(path, sending, fields, JSON)), self.url)

    def _saved(
        self, path: str, out: str | os.PathLike[str], sending: _Sending, fields: Mapping[str, Any], accept: str = "audio/*"
    ) -> Steps[Reply]:
        """The reply's body goes to a file as it comes; the file is whole or is not there."""
        form = yield Apart(lambda: sending.form(fields))
        with following(sending.progress, path.rpartition("/")[2], "B") as moved, replacing(out) as file:
            yield Watch(sending.cancel, moved)
            reply = yield from self.open(Request("POST", path, form=form, accept=accept))
            while data := (yield Read(reply)):
                file.write(data)
            return reply

    # -- jobs --

    @spelled(TranscribeOptions)
    def submit_transcribe(
        self,
        sources: Iterable[Any],
        *,
        rate: int | None = None,
        model: str | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Steps[Job]:
        """Hands over many files to be transcribed when there is time; the job survives a restart of the server. Arguments as in
        `transcribe`; progress: of bytes sent. Results have no tokens. Raises as `transcribe`, NoSpaceError, and LimitError (too many)."""
        given = form_fields(transcribe_fields(model, options))
        several = _several("sources", sources)
        form = yield Apart(lambda: Form(given, [("file", upload_of(source, rate)) for source in several]))
        with following(progress, "send", "B") as moved:
            yield Watch(cancel, moved)
            return job((yield from self.ask_json(Request("POST", "/stt/batch", form=form, changes=True))))

    @spelled(SpeakOptions)
    def submit_speak(
        self,
        texts: Iterable[str | Mapping[str, Any]],
        *,
        model: str | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Steps[Job]:
        """Hands over many texts to be spoken when there is time. texts: or mappings, {"text": ..., "name": ..., "voice": ...}, whose own
        options come before those of all. Raises as `speak`, NoSpaceError, and LimitError (too many)."""
        items = [_item(one) for one in _several("texts", texts)]
        body = {"items": items, "defaults": {**speak_fields(model, options), "response_format": "wav"}}
        yield Watch(cancel)
        return job((yield from self.ask_json(Request("POST", "/tts/batch", json=body, changes=True))))

    def job(self, job_id: Job | str) -> Steps[Job]:
        """State and progress of a job. Raises NotFoundError."""
        return job((yield from self.ask_json(Request("GET", _job_path(job_id)))))

    def jobs(self, limit: int = 100) -> Steps[tuple[Job, ...]]:
        """Jobs of this key, newest first. limit: 1 to 1000."""
        value = yield from self.ask_json(Request("GET", "/jobs", {"limit": str(limit)}))
        return tuple(job(one) for one in has(value, "jobs", list))

    def wait(
        self,
        job_id: Job | str,
        *,
        timeout: float | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Steps[Job]:
        """Waits until nothing more comes of a job, and looks at it ten times a second at first, every 5 s at last. timeout: seconds; then
        EngineTimeoutError, and the job goes on. progress: of items done, and that there are. cancel: the waiting, not the job."""
        until, pause = None if timeout is None else time.monotonic() + timeout, POLL_FIRST
        with following(progress, "job", "item") as moved:
            yield Watch(cancel)
            while True:
                now = yield from self.job(job_id)
                if moved is not None:
                    moved(now.done + now.failed, now.items)
                if now.over:
                    return now
                left = pause if until is None else until - time.monotonic()
                if left <= 0:
                    raise errors.EngineTimeoutError(
                        f"after {timeout:g} s the job {now.id} has done {now.done + now.failed} of {now.items} items"
                    )
                yield Pause(min(pause, left))
                pause = min(POLL_MOST, pause * POLL_GROWS)

    def results(self, job_id: Job | str) -> Source[JobItem, None]:
        """What has come of a job so far, item by item in their order: a `Transcript`, or a `Speech` with its audio, or an error."""
        path = _job_path(job_id)

        def flow() -> Flow[JobItem]:
            at: int | None = 0
            while at is not None:
                page = yield from self.ask_json(Request("GET", f"{path}/results", {"from": str(at), "limit": str(PAGE)}))
                for one in has(page, "results", list):
                    wav = None
                    if "audio_type" in one:
                        place = has(one, "index", int)
                        wav = (yield from self.ask(Request("GET", f"{path}/results/{place}", accept="audio/*"))).body
                    yield Emit(job_item(one, wav))
                before, at = at, None if page.get("next") is None else has(page, "next", int)
                if at is not None and at <= before:
                    raise errors.FormatError(f"the server says that the results from {at} on come behind those from {before} on")

        return Source(flow(), lambda: None)

    def cancel_job(self, job_id: Job | str, *, remove: bool = False) -> Steps[Job]:
        """Cancels a job; what is done stays, unless it is to be removed with its results. Raises NotFoundError."""
        query = {"remove": "true"} if remove else {}
        return job((yield from self.ask_json(Request("DELETE", _job_path(job_id), query, changes=True))))

    # -- models and voices --

    def models(self) -> Steps[tuple[ModelEntry, ...]]:
        """What the server's catalogue knows and what is installed there."""
        value = yield from self.ask_json(Request("GET", "/audio/models"))
        return tuple(model_entry(one) for one in has(value, "models", list))

    def loaded(self) -> Steps[tuple[ModelInfo, ...]]:
        """The models that the server has in memory."""
        value = yield from self.ask_json(Request("GET", "/audio/models"))
        return models_loaded(value)

    def load(self, name: str, *, precision: str | None = None, keep: int | None = None) -> Steps[ModelInfo]:
        """Loads a model on the server. precision: "auto", "f32", "bf16" or "int8". keep: seconds that it stays without use; -1: for ever;
        None: as the server is set. Needs a key with "manage". Raises NotFoundError, ModelError, LimitError, EngineMemoryError."""
        body = {"model": name, "dtype": precision, "keep": keep}
        return model_info((yield from self._told("/audio/models/load", body)))

    def unload(self, name: str) -> Steps[None]:
        """Unloads a model once nobody uses it. Needs a key with "manage". Raises NotFoundError."""
        yield from self._told("/audio/models/unload", {"model": name})

    def set_default(self, task: str, name: str) -> Steps[None]:
        """Makes a model the first choice of a task, "transcribe" or "speak". Needs a key with "manage"."""
        yield from self._told("/audio/models/default", {"task": task, "model": name})

    def _told(self, path: str, body: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        given = {name: plain(name, value) for name, value in body.items() if value is not None}
        return (yield from self.ask_json(Request("POST", path, json=given, changes=True)))

    def pull(self, name: str, *, progress: Callable[[PullState], object] | None = None, cancel: Cancel | None = None) -> Steps[Pulled]:
        """Installs a model of the catalogue on the server, and waits until it is there. progress: called with a `PullState`. cancel: the
        waiting, not the pull. Needs a key with "manage". Raises NotFoundError, IoError (it failed: says why)."""
        yield Watch(cancel)
        now = yield from self._told("/audio/models/pull", {"model": name})
        wanted, pause = has(now, "model", str), POLL_FIRST
        while has(now, "state", str) in ("queued", "running"):
            if progress is not None:
                progress(pull_state(now))
            yield Pause(pause)
            pause = min(1.0, pause * POLL_GROWS)
            all_of_them = yield from self.ask_json(Request("GET", "/audio/models/pull"))
            under_way = has(all_of_them, "pulls", list)
            now = next((one for one in under_way if has(one, "model", str) == wanted), {**now, "state": "done"})
        if now["state"] == "failed":
            raise errors.IoError(f"the server could not install {wanted}: {now.get('error', 'it does not say why')}")
        if progress is not None:
            progress(pull_state(now))
        return Pulled(wanted, "", now.get("source", ""), revision=now.get("revision", ""), bytes=has(now, "total", int))

    def voices(self, model: str | None = None) -> Steps[tuple[Voice, ...]]:
        """The voices of the server's bank and, with a model ("auto": the default one), the speakers inside it, which come first."""
        value = yield from self.ask_json(Request("GET", "/tts/voices", dict(form_fields({"model": model}))))
        known = tuple(voice(one) for one in has(value, "voices", list))
        return tuple(one for one in known if model is not None or one.in_bank)

    def add_voice(
        self,
        name: str,
        source: Any = None,
        *,
        rate: int | None = None,
        model: str | None = None,
        language: str | None = None,
        licence: str | None = None,
        origin: str | None = None,
        speaker: str | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Steps[Voice]:
        """Adds a voice to the server's bank. Arguments as of `Engine.add_voice`, but that folders cannot be sent. Needs a key with
        "manage". Raises as that."""
        fields = {"name": name, "model": model, "language": language, "licence": licence, "source": origin, "speaker": speaker}
        files = [] if source is None else [("file", (yield Apart(lambda: upload_of(source, rate))))]
        with following(progress, "send", "B") as moved:
            yield Watch(cancel, moved)
            form = Form(form_fields(fields), files)
            return voice((yield from self.ask_json(Request("POST", "/tts/voices", form=form, changes=True))))

    def remove_voice(self, name: str) -> Steps[None]:
        """Removes a voice from the server's bank. Needs a key with "manage". Raises NotFoundError, ArgumentError (a bad name)."""
        yield from self.ask(Request("DELETE", f"/tts/voices/{quote(plain('name', name), safe='')}", changes=True))

    # -- the server --

    def health(self) -> Steps[dict[str, Any]]:
        """State of the server and of each of its models, as /audio/health has it."""
        return (yield from self.ask_json(Request("GET", "/audio/health")))

    def config(self) -> Steps[dict[str, Any]]:
        """The server's options by name. Needs a key with "manage"."""
        return has((yield from self.ask_json(Request("GET", "/audio/config"))), "config", dict)

    def metrics(self) -> Steps[dict[str, Any]]:
        """The server's measurements by name: type, help and samples, as /audio/metrics has them."""
        return has((yield from self.ask_json(Request("GET", "/audio/metrics"))), "metrics", dict)

    def usage(self, days: int = 30) -> Steps[tuple[dict[str, Any], ...]]:
        """What was asked for by key and day, as /audio/usage has it. days: 1 to 3660."""
        return tuple(has((yield from self.ask_json(Request("GET", "/audio/usage", {"days": str(days)}))), "usage", list))


# ---- what calls are made of ----


@dataclass(frozen=True)
class _Sending:
    """Audio that is sent, and who follows it."""

    source: Any
    rate: int | None
    progress: Progress | bool | None
    cancel: Cancel | None

    def form(self, fields: Mapping[str, Any]) -> Form:
        return Form(form_fields(fields), [("file", upload_of(self.source, self.rate))])


def _heard(source: Any, rate: int | None, fields: Mapping[str, Any], stream: bool = False) -> Request:
    more = {"response_format": "verbose_json", **({"stream": True} if stream else {})}
    form = Form(form_fields({**fields, **more}), [("file", upload_of(source, rate))])
    return Request("POST", "/stt/transcribe", form=form, accept="text/event-stream" if stream else JSON)


def _streamed(value: Mapping[str, Any]) -> Segment:
    return segment(value, tuple(word(w) for w in value.get("word_timestamps", ())))


def _checked(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        bad = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise errors.FormatError(f"the text has half of a surrogate pair, {bad}, which is no character") from None
    return text


def _several(name: str, given: Any) -> list[Any]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of them, not {type(given).__name__}")
    several = list(given)
    if not several:
        raise errors.ArgumentError(f"there are no {name}; a job has at least one item")
    return several


def _item(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        return {"text": _checked(given)}
    own = dict(given)
    named = {name: own.pop(name) for name in ("text", "name") if name in own}
    fields = speak_fields(own.pop("model", None), own)
    if "check" not in own:
        del fields["quality"]
    return {**named, **fields}


def _job_path(given: Job | str) -> str:
    job_id = given.id if isinstance(given, Job) else given
    if not isinstance(job_id, str) or not job_id.isalnum():
        raise errors.ArgumentError(f"{given!r} is no job: submit_transcribe and submit_speak give one")
    return f"/jobs/{job_id}"


def _ending(out: Any) -> str | None:
    """The format that a path's ending names, as the engine takes it; None: the server's default, wav."""
    ending = os.path.splitext(os.fspath(out))[1][1:].lower() if out is not None else ""
    return ENDINGS.get(ending, ending) or None


def _kilobits(bitrate: Any) -> Any:
    """The server takes whole kbit/s."""
    if bitrate is None or not hasattr(bitrate, "__index__"):
        return bitrate
    if bitrate % 1000:
        raise errors.ArgumentError(f"bitrate is {bitrate}; a server takes whole kbit/s, such as {round(bitrate / 1000) * 1000}")
    return bitrate // 1000
