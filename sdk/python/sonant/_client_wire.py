"""Requests and replies as plain values, and replies turned into `sonant.types`. No connection is made here."""

from __future__ import annotations

import base64
import email.utils
import functools
import io
import json
import time
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from sonant import errors
from sonant._client_body import Form
from sonant._client_errors import DeniedError, IncompatibleError
from sonant._client_types import Job, JobItem
from sonant.types import (
    Analysis,
    AnalysisPoint,
    Attempt,
    Audio,
    Band,
    Conversion,
    Enhancement,
    EnhanceStage,
    Interval,
    Levels,
    Mark,
    ModelEntry,
    ModelInfo,
    Note,
    Problem,
    PullState,
    Quality,
    Scores,
    Segment,
    Speech,
    Transcript,
    Voice,
    Word,
)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

JSON = "application/json"
STRANGE: dict[int, type[errors.Error]] = {
    401: DeniedError,
    403: DeniedError,
    407: DeniedError,
    413: errors.LimitError,
    429: errors.BusyError,
    502: errors.IoError,
    503: errors.BusyError,
    504: errors.EngineTimeoutError,
}
"""What a proxy means by a status."""
UNREADABLE = (ValueError, RecursionError)
"""What Python raises for JSON that is none, or has too many lists in lists."""
SHOWN = 120
"""Characters of a strange reply that an error shows."""


@dataclass(frozen=True)
class Request:
    """What is asked of the server."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Form | None = None
    accept: str = JSON
    changes: bool = False
    """It changes something on the server, so that a reply which may not be the server's own is no reason to ask again."""


@dataclass
class Reply:
    """What came back. live: the body is read piece by piece through it; else `body` is whole."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes = b""
    live: Any = None

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")


# ---- what is no success ----


def failure(reply: Reply, url: str) -> errors.Error:
    """The exception for a reply that is none of a success: the server's problem, or what else answered."""
    problem = problem_of(reply)
    if problem is None:
        error: errors.Error = _strange(reply, url)
    elif reply.status in (401, 403):
        hint = " (api_key=, or SONANT_API_KEY)" if reply.status == 401 else ""
        error = DeniedError(f"{problem.get('detail') or 'the server refused'}{hint}")
        error.status = reply.status
    else:
        error = problem_error(problem, reply.status)
    error.request_id = str((problem or {}).get("request_id") or reply.request_id)
    error.retry_after = retry_after(reply)
    return error


def problem_error(problem: Mapping[str, Any], status: int = 500) -> errors.Error:
    """The exception for a problem of the server: of a reply, an event, a message or a job's item."""
    code, detail = str(problem.get("code", "")), problem.get("detail") or problem.get("message") or problem.get("title")
    if code not in errors.CLASSES and status == errors.InternalError.status:
        code = errors.InternalError.code
    theirs = problem.get("status")
    error = errors.from_reply(theirs if isinstance(theirs, int) and theirs else status, code, str(detail or ""))
    error.request_id = str(problem.get("request_id") or "")
    return error


def problem_of(reply: Reply) -> Mapping[str, Any] | None:
    """The problem that Sonant itself tells of."""
    if reply.content_type not in ("application/problem+json", JSON):
        return None
    try:
        value = json.loads(reply.body)
    except UNREADABLE:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("code"), str) else None


def _strange(reply: Reply, url: str) -> errors.Error:
    """No problem of Sonant's: a proxy's page, or another program."""
    kind = reply.content_type or "no type"
    what = f"{url} answered with HTTP status {reply.status} and {kind}, not with a reply of Sonant: {shown(reply.body)}"
    return STRANGE.get(reply.status, IncompatibleError)(what)


def shown(body: bytes) -> str:
    """The beginning of a body, on one line."""
    text = " ".join(body[: 4 * SHOWN].decode("utf-8", "replace").split())
    return repr(text[:SHOWN] + "..." if len(text) > SHOWN else text)


def retry_after(reply: Reply) -> float | None:
    """Seconds that the server asks to wait."""
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


# ---- what is ----


def reads(parse: Callable[P, R]) -> Callable[P, R]:
    """For functions that read a reply: what it lacks is said."""

    @functools.wraps(parse)
    def read(*args: P.args, **options: P.kwargs) -> R:
        try:
            return parse(*args, **options)
        except errors.Error:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, LookupError) as error:
            what = parse.__name__.replace("_", " ")
            raise errors.FormatError(f"the server's {what} is not as its API says: {type(error).__name__}: {error}") from error

    return read


def json_of(reply: Reply, url: str) -> dict[str, Any]:
    """The object of a JSON reply."""
    if reply.content_type != JSON:
        raise _strange(reply, url)
    try:
        value = json.loads(reply.body)
    except UNREADABLE as error:
        raise errors.FormatError(f"{url} sent JSON that cannot be read ({error}): {shown(reply.body)}") from error
    if not isinstance(value, dict):
        raise errors.FormatError(f"{url} sent JSON that is no object: {shown(reply.body)}")
    return value


def has(value: Any, name: str, kind: type[T]) -> T:
    """A field of a reply. Raises FormatError where it is not there, or is something else."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise errors.FormatError(f"the server's reply is not as its API says: its {name!r} is {found!r:.80}, and no {kind.__name__}")
    return found


def facts_of(reply: Reply, url: str) -> dict[str, Any]:
    """The facts that a reply of audio has in its headers: X-Input-Rate is input_rate."""
    if not reply.content_type.startswith(("audio/", "image/")):
        raise _strange(reply, url)
    facts: dict[str, Any] = {}
    for name, text in reply.headers.items():
        if name.startswith("x-"):
            try:
                facts[name[2:].replace("-", "_")] = json.loads(text)
            except ValueError:
                facts[name[2:].replace("-", "_")] = text
    return facts


def _notes(value: Mapping[str, Any]) -> tuple[Note, ...]:
    return tuple(note(n) for n in value.get("notes", ()))


@reads
def note(value: Mapping[str, Any]) -> Note:
    return Note(value["code"], value["message"])


@reads
def word(w: Mapping[str, Any]) -> Word:
    return Word(w["word"], w["start"], w["end"], w.get("confidence", 0.0))


@reads
def segment(s: Mapping[str, Any], words: tuple[Word, ...] = ()) -> Segment:
    logprobs = s.get("token_logprobs")
    return Segment(
        id=s["id"],
        start=s["start"],
        end=s["end"],
        text=s["text"],
        tokens=tuple(s.get("tokens", ())),
        token_logprobs=None if logprobs is None else tuple(logprobs),
        temperature=s.get("temperature", 0.0),
        avg_logprob=s.get("avg_logprob", 0.0),
        compression_ratio=s.get("compression_ratio", 0.0),
        no_speech_prob=s.get("no_speech_prob", 0.0),
        confidence=s.get("confidence", 0.0),
        words=words,
    )


def _letters(text: str) -> int:
    return sum(not c.isspace() for c in text)


def _segments(value: Mapping[str, Any]) -> tuple[Segment, ...]:
    """The segments with their words, which the reply lists in one row: each segment takes as many as write its text."""
    words, at, out = [word(w) for w in value.get("word_timestamps", ())], 0, []
    for i, one in enumerate(value["segments"]):
        begin, left = at, _letters(one["text"])
        last = i == len(value["segments"]) - 1
        while at < len(words) and (last or left > 0):
            left -= _letters(words[at].word)
            at += 1
        out.append(segment(one, tuple(words[begin:at])))
    return tuple(out)


@reads
def transcript(value: Mapping[str, Any], segments: tuple[Segment, ...] | None = None) -> Transcript:
    """segments: those that came before, one by one, with their words."""
    alone = {"model": value.get("model"), "dtype": value.get("dtype"), "confidence": value.get("avg_confidence", 0.0), "kept": True}
    return Transcript(
        text=value["text"],
        language=value["language"],
        language_confidence=value["language_confidence"],
        avg_confidence=value.get("avg_confidence", 0.0),
        duration=value["duration"],
        processing_time=value.get("processing_time", 0.0),
        model=value["model"],
        dtype=value["dtype"],
        task=value.get("task", "transcribe"),
        segments=_segments(value) if segments is None else segments,
        notes=_notes(value),
        attempts=tuple(Attempt(a["model"], a["dtype"], a["confidence"], a["kept"]) for a in value.get("attempts", (alone,))),
        request_id=value.get("request_id", ""),
    )


def audio_of(data: bytes, what: str) -> Audio:
    """The samples of a 16-bit wav file, as float32."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getsampwidth(), file.getnchannels()) != (2, 1):
                raise wave.Error(f"{file.getnchannels()} channels of {8 * file.getsampwidth()} bits; one of 16 was asked for")
            return Audio(samples_of(file.readframes(file.getnframes())), file.getframerate())
    except (wave.Error, EOFError) as error:
        raise errors.FormatError(f"{what} holds no wav that can be read: {error}") from error


def samples_of(pcm: bytes) -> Any:
    """[count] float32 of 16-bit little endian samples."""
    import numpy as np

    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(32768)


@reads
def enhanced_audio(value: Mapping[str, Any]) -> Audio:
    return audio_of(base64.b64decode(value["audio_data"]), "the enhanced audio")


def silence() -> Any:
    """No samples."""
    import numpy as np

    return np.zeros(0, np.float32)


@reads
def speech(value: Mapping[str, Any], wav: bytes | None = None) -> Speech:
    """wav: the audio, where the reply does not hold it itself."""
    audio = audio_of(base64.b64decode(value["audio_data"]) if wav is None else wav, "the server's speech")
    return Speech(
        samples=audio.samples,
        sample_rate=audio.sample_rate,
        model=value["model"],
        dtype=value.get("dtype", ""),
        voice=value["voice"],
        vocoder=value.get("vocoder", ""),
        processing_time=value["processing_time"],
        first_audio=value.get("first_audio", 0.0),
        sentences=value.get("sentences", 0),
        quality_score=value.get("quality_score") or None,
        word_error_rate=value.get("word_error_rate"),
        attempts=value.get("attempts", 1),
        notes=_notes(value),
        marks=tuple(Mark(m["name"], m["time"]) for m in value.get("marks", ())),
        request_id=value.get("request_id", ""),
        spoken=audio.duration,
    )


def _scores(value: Mapping[str, Any] | None) -> Scores | None:
    return Scores(value["overall"], value["signal"], value["background"], value["p808"], value["windows"]) if value else None


@reads
def quality(value: Mapping[str, Any]) -> Quality:
    return Quality(
        scores=_scores(value["dnsmos"]),
        personalised=_scores(value.get("dnsmos_personalised")),
        problems=tuple(Problem(p["code"], p["message"]) for p in value["problems"]),
        windows_possible=value["windows_possible"],
        clipped_runs=value["clipped_runs"],
        **{
            name: value[name]
            for name in ("duration", "sample_rate", "channels", "score", "snr", "noise_floor", "loudness", "loudness_range")
        },
        **{name: value[name] for name in ("peak", "true_peak", "rms", "dc", "clipping", "silence", "bandwidth", "speech")},
    )


@reads
def analysis(value: Mapping[str, Any]) -> Analysis:
    points, pitch, spectrum = value.get("points"), value["pitch"], value["spectrum"]
    rows = zip(points["low"], points["high"], points["level"], points["pitch"], points["speech"], strict=True) if points else ()
    return Analysis(
        quality=quality(value["quality"]),
        format=value["format"],
        crest=value["crest"],
        crossings=value["crossings"],
        centroid=spectrum["centroid"],
        rolloff=spectrum["rolloff"],
        bands=tuple(Band(b["center"], b["level"]) for b in spectrum["bands"]),
        pitch_median=pitch["median"],
        pitch_low=pitch["low"],
        pitch_high=pitch["high"],
        pitched=pitch["share"],
        speech=tuple(Interval(i["start"], i["end"]) for i in value["speech"]),
        language=value["language"] or "",
        language_confidence=value["language_confidence"] or 0.0,
        points=tuple(AnalysisPoint(*row) for row in rows),
        point_interval=points["interval"] if points else 0.0,
        transcript=_heard(value) if "text" in value else None,
        notes=_notes(value),
        processing_time=value["processing_time"],
    )


def _heard(value: Mapping[str, Any]) -> Transcript:
    """What an analysis heard: its reply has a text and words, which are one segment here."""
    words, duration = tuple(word(w) for w in value.get("word_timestamps", ())), value["quality"]["duration"]
    start, end = (words[0].start, words[-1].end) if words else (0.0, duration)
    whole = (Segment(0, start, end, value["text"], words=words),) if value["text"] else ()
    return Transcript(value["text"], value["language"] or "", value["language_confidence"] or 0.0, duration=duration, segments=whole)


@reads
def conversion(value: Mapping[str, Any], audio: bytes | None) -> Conversion:
    """value: the reply's facts, of JSON or of headers."""
    return Conversion(
        clipped=value["clipped_samples"],
        audio=audio,
        **{name: value[name] for name in ("duration", "format", "sample_rate", "channels", "bits", "gain", "peak", "limited")},
        **{name: value[name] for name in ("input_format", "input_rate", "input_channels", "processing_time")},
        note=str(value.get("note", "")),
    )


def _levels(value: Mapping[str, Any]) -> Levels:
    return Levels(
        loudness=value["loudness"],
        range=value["loudness_range"],
        true_peak=value["true_peak"],
        rms=value["rms"],
        noise_floor=value["noise_floor"],
        snr=value["snr"],
        score=value["score"] or None,
    )


@reads
def enhancement(value: Mapping[str, Any], audio: Audio | None) -> Enhancement:
    """value: the reply's facts, of JSON or of headers, which have no lists."""
    notes = value.get("notes") or ()
    names = ("duration", "sample_rate", "noise_reduction", "gain", "compression", "limited", "input_rate", "input_channels")
    return Enhancement(
        before=_levels(value["before"]),
        after=_levels(value["after"]),
        repaired=value["repaired_samples"],
        clipped=value["clipped_samples"],
        denoiser=value.get("denoiser", ""),
        stages=tuple(EnhanceStage(s["name"], s["done"], s["message"]) for s in value.get("stages", ())),
        note=notes[0]["message"] if notes else "",
        processing_time=value["processing_time"],
        audio=audio,
        **{name: value[name] for name in names},
    )


# ---- what is there ----


@reads
def model_entry(value: Mapping[str, Any]) -> ModelEntry:
    return ModelEntry(
        name=value["name"],
        architecture=value["architecture"],
        task=value["task"],
        licence=value.get("licence", ""),
        aliases=tuple(value.get("aliases", ())),
        bytes=value.get("bytes", 0),
        installed=value["installed"],
    )


@reads
def models_loaded(value: Mapping[str, Any]) -> tuple[ModelInfo, ...]:
    return tuple(model_info(one) for one in value["models"] if one["state"] == "ready")


@reads
def pull_state(value: Mapping[str, Any]) -> PullState:
    names = ("model", "bytes", "total")
    return PullState(file=value.get("file", ""), rate=value.get("rate", 0), **{name: value[name] for name in names})


@reads
def model_info(value: Mapping[str, Any]) -> ModelInfo:
    """What the server tells of a model that is loaded."""
    can = frozenset(value.get("capabilities", ()))
    return ModelInfo(
        name=value["name"],
        architecture=value.get("architecture", ""),
        precision=value.get("dtype", ""),
        task=value.get("task", ""),
        parameters=value.get("parameters", 0),
        sample_rate=value.get("sample_rate", 0),
        languages=tuple(value.get("languages", ())),
        detects_language="language_detection" in can,
        translates="translation" in can,
        streams="streaming" in can,
        words="words" in can,
        speakers=value.get("voices", 0),
        emotions=tuple(value.get("emotions", ())),
        controls=tuple(name for name in ("speed", "pitch", "energy", "temperature") if name in can),
        clones="cloning" in can,
        presets="presets" in can,
        memory=value.get("memory", 0),
        load_time=value.get("load_time", 0.0),
    )


@reads
def voice(value: Mapping[str, Any]) -> Voice:
    names = ("model", "architecture", "speaker", "language", "licence", "source", "created")
    return Voice(
        name=value["name"],
        kind=value["kind"],
        in_bank=value["in_bank"],
        **{name: value.get(name, "") for name in names},
        embedding=value.get("embedding", 0),
    )


@reads
def job(value: Mapping[str, Any]) -> Job:
    names = ("id", "kind", "state", "created", "items", "done", "failed", "progress")
    more = {name: value.get(name, "") for name in ("finished", "waiting")}
    return Job(**{name: value[name] for name in names}, **more)


@reads
def job_item(value: Mapping[str, Any], wav: bytes | None = None) -> JobItem:
    """wav: the audio of an item that was spoken."""
    result, error = value.get("result"), value.get("error")
    return JobItem(
        index=value["index"],
        name=value.get("name", ""),
        state=value["state"],
        result=None if not result else transcript(result) if "segments" in result else speech(result, wav),
        error=problem_error(error) if error else None,
    )
