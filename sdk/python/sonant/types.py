"""What the engine and the client give back: plain frozen values, the same for both.

Times are in seconds from the start of the audio, confidences lie between 0 and 1, levels are in dB. Every value turns into plain Python
by `dataclasses.asdict`; lists are tuples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from sonant.audio import Audio

T = TypeVar("T")

__all__ = [
    "Analysis",
    "AnalysisPoint",
    "Attempt",
    "Audio",
    "Band",
    "Commit",
    "Conversion",
    "Enhancement",
    "EnhanceStage",
    "Event",
    "Exported",
    "ExportedGraph",
    "Flaw",
    "Interval",
    "Language",
    "Levels",
    "Mark",
    "ModelEntry",
    "ModelInfo",
    "Note",
    "Outcome",
    "Partial",
    "Problem",
    "Pulled",
    "PulledFile",
    "PullState",
    "Quality",
    "Quantized",
    "QuantizedLayer",
    "Scores",
    "Segment",
    "Speech",
    "SpeechChunk",
    "Transcript",
    "Verified",
    "Voice",
    "Word",
]


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word."""

    word: str
    """Without the space before it."""
    start: float
    end: float
    confidence: float = 0.0
    """Probability that it is right."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, about a sentence."""

    id: int
    start: float
    end: float
    text: str
    """As the model wrote it: words begin with a space where the language uses them."""
    tokens: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] | None = None
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    confidence: float = 0.0
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """Something the caller should know: a stage skipped, retried or limited, a guard that acted, a control that was ignored."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model that tried, where others were allowed to (`min_confidence`)."""

    model: str
    dtype: str
    """"f32", "bf16" or "int8"."""
    confidence: float
    kept: bool

    @property
    def precision(self) -> str:
        """`dtype`, as the options call it."""
        return self.dtype


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole transcription. An empty text always has a note that says why."""

    text: str
    language: str = ""
    language_confidence: float = 0.0
    avg_confidence: float = 0.0
    duration: float = 0.0
    processing_time: float = 0.0
    model: str = ""
    dtype: str = ""
    task: str = "transcribe"
    segments: tuple[Segment, ...] = ()
    notes: tuple[Note, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    request_id: str = ""
    """Of a server's reply."""

    @property
    def precision(self) -> str:
        """`dtype`, as the options call it."""
        return self.dtype

    @property
    def words(self) -> tuple[Word, ...]:
        """All words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to(self, format: str, file: str | None = None, *, max_line_width: int = 0, max_line_count: int = 0) -> str:
        """As "text", "json" (one line), "verbose_json", "jsonl" (a line for each segment), "srt", "vtt" or "tsv", in the same bytes as the
        program's. file: a name for the JSON's "file". max_line_width: characters of a line of "srt" and "vtt", wide ones count as two
        (0: 42); max_line_count: lines of a cue (0: 2). Cues are cut by the times of words, where there are any.

        Raises ArgumentError (an unknown format, lines out of range), EngineMemoryError."""
        from sonant._formats import formatted

        return formatted(self, format, file, max_line_width, max_line_count)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one of many inputs; true where it went well."""

    source: Any = field(repr=False)
    """The input, as it was given."""
    value: T | None = None
    error: Exception | None = None

    def get(self) -> T:
        """The value; raises the error where there is none."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)

    def __bool__(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Partial:
    """Live: what may follow the committed text; it replaces the partial before."""

    text: str
    position: float = 0.0


@dataclass(frozen=True, slots=True)
class Commit:
    """Live: more text of the utterance, which will not change any more."""

    text: str
    words: tuple[Word, ...] = ()
    position: float = 0.0


@dataclass(frozen=True, slots=True)
class Language:
    """The language is known (a code)."""

    language: str
    confidence: float
    position: float = 0.0


Event = Partial | Commit | Language | Segment | Note
"""What listening gives. A `Segment` is a whole utterance: its text is that of its commits, joined."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A `<mark>` of SSML and when it is reached."""

    name: str
    time: float


@dataclass(frozen=True, slots=True, eq=False)
class Speech(Audio):
    """Speech that was made: `Audio` (samples, sample_rate, save, play) and facts."""

    model: str = ""
    dtype: str = ""
    voice: str = ""
    vocoder: str = ""
    """Empty where the model makes sound itself."""
    processing_time: float = 0.0
    first_audio: float = 0.0
    """Seconds until the first samples were ready."""
    sentences: int = 0
    quality_score: float | None = None
    """1 to 5 (DNSMOS); None: not rated."""
    word_error_rate: float | None = None
    """Of reading it back (`verify`); None: not verified."""
    attempts: int = 1
    """Most that a sentence took."""
    notes: tuple[Note, ...] = ()
    marks: tuple[Mark, ...] = ()
    request_id: str = ""
    spoken: float = 0.0
    """Seconds of speech of a stream, whose `result` has no samples."""

    @property
    def precision(self) -> str:
        """`dtype`, as the options call it."""
        return self.dtype

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate if len(self.samples) else self.spoken


@dataclass(frozen=True, slots=True, eq=False)
class SpeechChunk(Audio):
    """A piece of speech while it is made. `mark`: a mark that is reached here; there are no samples then."""

    sentence: int = 0
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a loaded model is and can do."""

    name: str
    path: str = ""
    architecture: str = ""
    precision: str = ""
    """"f32", "bf16" or "int8"."""
    task: str = ""
    """"transcribe", "speak", "vad", "vocode", "embed", "denoise", "score" or "punctuate"."""
    parameters: int = 0
    sample_rate: int = 0
    languages: tuple[str, ...] = ()
    detects_language: bool = False
    translates: bool = False
    streams: bool = False
    words: bool = False
    """Gives times of words."""
    speakers: int = 0
    speaker_names: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    """Of "speed", "pitch", "energy", "noise", "temperature", "dropout"."""
    clones: bool = False
    """Makes voices of clips."""
    presets: bool = False
    embedding: int = 0
    vocoder: str = ""
    windows: int = 0
    memory: int = 0
    """Bytes, estimated."""
    load_time: float = 0.0
    from_cache: bool = False
    backend: str = ""
    """What computes it: "cpu", or provider, version and precision."""
    mel: str = ""
    """Speak, vocode: what the rows of its mel spectrograms mean, in words."""
    memory_most: int = 0
    """Bytes, estimated, with all windows and sequences that it may decode at once; `memory`: with one window."""

    @property
    def dtype(self) -> str:
        """`precision`, as transcripts, the program and the server call it."""
        return self.precision


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model of the catalogue, or one found on disk."""

    name: str
    architecture: str
    task: str
    licence: str = ""
    source: str = ""
    aliases: tuple[str, ...] = ()
    bytes: int = 0
    installed: bool = False
    path: str = ""
    in_hub_cache: bool = False


@dataclass(frozen=True, slots=True)
class PullState:
    """How far a pull is."""

    model: str
    file: str = ""
    """That moved last."""
    file_bytes: int = 0
    file_total: int = 0
    bytes: int = 0
    """Of all files, those that were there already included."""
    total: int = 0
    """0: not known yet."""
    rate: float = 0.0
    """Bytes a second over the last seconds."""
    note: str = ""
    """A sentence to be shown once: a fallback, a wait for another pull."""


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A file of a model."""

    name: str
    bytes: int
    present: int
    """Bytes of it that need not be fetched (any more)."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that was installed."""

    model: str
    path: str
    source: str
    """"hub", "hub-cache" (it lies there, nothing was fetched) or "packages"."""
    repository: str = ""
    revision: str = ""
    """A commit."""
    already: bool = False
    """It was there, whole."""
    bytes: int = 0
    fetched: int = 0
    """Bytes that came over the network."""
    files: tuple[PulledFile, ...] = ()
    notes: tuple[Note, ...] = ()
    """What was said on the way: a fallback, a hub that could not be asked."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A file that is not what it was when it was installed."""

    file: str
    what: str
    """"changed", "missing", "extra" or "unreadable"."""
    message: str


@dataclass(frozen=True, slots=True)
class Verified:
    """An installed model, compared with its hashes; true where every file is as it should be."""

    model: str
    path: str
    files: int = 0
    bytes: int = 0
    flaws: tuple[Flaw, ...] = ()
    source: str = ""
    revision: str = ""

    def __bool__(self) -> bool:
        return not self.flaws


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """A graph of a model that was written as ONNX."""

    name: str
    file: str
    """Beside the others, in the directory."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...] = ()
    """Inputs that are the last run's outputs, and zeros at first."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A model as ONNX in a directory, whose manifest.json has types and shapes."""

    path: str
    model: str
    architecture: str
    task: str
    graphs: tuple[ExportedGraph, ...]
    """In the order in which they were made."""
    parameters: int = 0
    bytes: int = 0
    """Of all files."""


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """A tensor that was narrowed."""

    name: str
    type: str
    """"int8", "bfloat16" or "float16"."""
    rows: int
    columns: int
    bytes_before: int
    bytes: int
    error: float
    """|stored - original| / |original|."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """A checkpoint with narrower weights, and what they cost."""

    path: str
    """Of its directory, which `load` takes."""
    model: str
    architecture: str
    precision: str
    """"int8" or "bf16"."""
    parameters: int
    bytes_f32: int
    """Of all tensors, in float32."""
    bytes_before: int
    """As they were."""
    bytes: int
    """As they are stored."""
    error: float
    """Root mean square of the layers', by their values."""
    layers: tuple[QuantizedLayer, ...] = ()
    texts: int = 0
    """That were measured."""
    words: int = 0
    """Of those texts."""
    wer_before: float | None = None
    """Word errors by words, of the original in float32; None: not measured."""
    wer_after: float | None = None

    @property
    def dtype(self) -> str:
        """`precision`, as transcripts, the program and the server call it."""
        return self.precision


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of the bank, or a speaker inside a model."""

    name: str
    kind: str = "speaker"
    """"speaker", "embedding", "preset" or "clip"."""
    in_bank: bool = False
    model: str = ""
    architecture: str = ""
    speaker: str = ""
    language: str = ""
    licence: str = ""
    source: str = ""
    """Where it comes from, as it was given."""
    created: str = ""
    embedding: int = 0
    """Values of its embedding; 0: it has none."""
    path: str = ""
    """Of its directory in the bank."""


@dataclass(frozen=True, slots=True)
class Interval:
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Scores:
    """DNSMOS, 1 (bad) to 5 (excellent)."""

    overall: float
    signal: float
    background: float
    p808: float
    windows: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Quality:
    """What audio is like."""

    duration: float
    sample_rate: int
    channels: int
    score: float
    """1 to 5."""
    scores: Scores | None
    snr: float
    noise_floor: float
    loudness: float
    """LUFS, integrated."""
    loudness_range: float
    peak: float
    true_peak: float
    rms: float
    dc: float
    clipping: float
    silence: float
    bandwidth: float
    speech: float | None
    """Share of time with speech; None: not known."""
    problems: tuple[Problem, ...] = ()
    """Worst first."""
    personalised: Scores | None = None
    """Scores that count other voices as noise, where they were asked for."""
    windows_possible: int = 0
    """Windows that an exact rating has."""
    clipped_runs: int = 0


@dataclass(frozen=True, slots=True)
class Band:
    center: float
    level: float


@dataclass(frozen=True, slots=True)
class AnalysisPoint:
    low: float
    high: float
    level: float
    pitch: float
    speech: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """A look at audio."""

    quality: Quality
    format: str = ""
    crest: float = 0.0
    crossings: float = 0.0
    centroid: float = 0.0
    rolloff: float = 0.0
    bands: tuple[Band, ...] = ()
    pitch_median: float = 0.0
    pitch_low: float = 0.0
    pitch_high: float = 0.0
    pitched: float = 0.0
    speech: tuple[Interval, ...] = ()
    language: str = ""
    language_confidence: float = 0.0
    points: tuple[AnalysisPoint, ...] = ()
    point_interval: float = 0.0
    transcript: Transcript | None = None
    notes: tuple[Note, ...] = ()
    processing_time: float = 0.0


@dataclass(frozen=True, slots=True)
class Conversion:
    """Facts of a conversion; `audio` holds the bytes where no output path was given."""

    duration: float
    format: str
    sample_rate: int
    channels: int
    bits: int
    gain: float = 0.0
    peak: float = 0.0
    limited: float = 0.0
    clipped: int = 0
    input_format: str = ""
    input_rate: int = 0
    input_channels: int = 0
    note: str = ""
    processing_time: float = 0.0
    audio: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Levels:
    loudness: float
    range: float
    true_peak: float
    rms: float
    noise_floor: float
    snr: float
    score: float | None = None


@dataclass(frozen=True, slots=True)
class EnhanceStage:
    name: str
    done: bool
    message: str


@dataclass(frozen=True, slots=True)
class Enhancement:
    """Facts of an enhancement; `audio` is the result where no output path was given."""

    duration: float
    sample_rate: int
    before: Levels
    after: Levels
    repaired: int = 0
    noise_reduction: float = 0.0
    gain: float = 0.0
    compression: float = 0.0
    limited: float = 0.0
    denoiser: str = ""
    stages: tuple[EnhanceStage, ...] = ()
    note: str = ""
    processing_time: float = 0.0
    audio: Audio | None = field(default=None, repr=False)
    clipped: int = 0
    """Samples of the input at full scale."""
    input_rate: int = 0
    input_channels: int = 0
