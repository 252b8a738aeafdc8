"""`pipeline` as programs for Hugging Face's transformers call it; the engine does the work, and neither PyTorch nor transformers is needed.

    from sonant import pipeline

    recognise = pipeline("automatic-speech-recognition", model="openai/whisper-base")
    recognise("meeting.flac", return_timestamps=True)   # {"text": " And so ...", "chunks": [{"text": ..., "timestamp": (0.0, 4.5)}, ...]}
    speak = pipeline("text-to-speech")
    speak("Good morning.")                              # {"audio": float32 [frames], "sampling_rate": 22050}

Arguments and results are those of transformers' AutomaticSpeechRecognitionPipeline and TextToAudioPipeline. What has no meaning here (a
device, tokenizers, lengths of chunks) or cannot be done is named in a `UserWarning`, once a call, and left out; a value that is wrong there
raises ValueError here, too. Names of the hub are aliases of installed models, which need no network.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sonant import errors
from sonant._many import check_jobs, in_order
from sonant._values import Cancel
from sonant._words import spaced
from sonant.engine import Engine, Model

if TYPE_CHECKING:
    from typing_extensions import Self

    from sonant.types import Transcript

__all__ = ["AutomaticSpeechRecognitionPipeline", "TextToAudioPipeline", "pipeline"]

TASKS = {"automatic-speech-recognition": "transcribe", "text-to-speech": "speak", "text-to-audio": "speak"}
PRECISIONS = {"auto": "auto", "float32": "f32", "bfloat16": "bf16", "float16": "bf16", "int8": "int8"}

_NOT_NEEDED = "the engine has all that it needs in the model's files"
_UNUSED = {
    "config": _NOT_NEEDED,
    "tokenizer": _NOT_NEEDED,
    "feature_extractor": _NOT_NEEDED,
    "image_processor": _NOT_NEEDED,
    "processor": _NOT_NEEDED,
    "decoder": "models that need a language model are not read",
    "framework": "there is no PyTorch in it",
    "device_map": "the engine runs on the processor",
    "use_fast": _NOT_NEEDED,
    "trust_remote_code": "no code of models is run",
    "model_kwargs": "the engine has options of its own: sonant.Engine(...), given as engine=",
    "pipeline_class": "there is one for each task",
    "num_workers": "the engine has threads of its own: sonant.Engine(threads=...)",
    "binary_output": "results are plain Python",
}
_CHUNKS = "the engine cuts long audio where nobody speaks"
_HEARD_UNUSED = {
    "chunk_length_s": _CHUNKS,
    "stride_length_s": _CHUNKS,
    "stride": _CHUNKS,
    "decoder_kwargs": "models that need a language model are not read",
    "max_new_tokens": "the engine stops where the model ends its text, at the latest where its context does",
    "max_length": "the engine stops where the model ends its text, at the latest where its context does",
    "prompt_ids": "give prompt=, which is text",
    "no_speech_threshold": "the engine has the reference's",
    "logprob_threshold": "the engine has the reference's",
    "compression_ratio_threshold": "the engine has the reference's",
    "do_sample": "it samples where the temperature is above 0",
    "use_cache": "it always does",
    "assistant_model": "the engine decodes with one model",
    "return_dict_in_generate": "results are plain Python",
}
_HEARD_NAMES = {
    "num_beams": "beam_size",
    "condition_on_prev_tokens": "condition",
    "prompt": "prompt",
    "hotwords": "hotwords",
    "vad": "vad",
    "denoise": "denoise",
    "seed": "seed",
}
_SPOKEN_NAMES = {"voice_preset": "voice", "speaker": "voice", "speaking_rate": "speed"}
_SPOKEN = {
    "voice",
    "speed",
    "pitch",
    "energy",
    "emotion",
    "language",
    "seed",
    "noise",
    "noise_duration",
    "pause",
    "vocoder",
    "temperature",
    "ssml",
}
_SPOKEN_UNUSED = {
    "do_sample": "give temperature=",
    "max_new_tokens": "the engine speaks all of the text",
    "vocoder_kwargs": "give vocoder=",
}


def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    *,
    engine: Engine | None = None,
    device: Any = None,
    dtype: Any = None,
    torch_dtype: Any = None,
    batch_size: int | None = None,
    revision: str | None = None,
    token: str | None = None,
    **options: Any,
) -> AutomaticSpeechRecognitionPipeline | TextToAudioPipeline:
    """Makes a pipeline.

    task: "automatic-speech-recognition", "text-to-speech" or "text-to-audio"; None: what the model is for. model: a name, an alias
    ("openai/whisper-base"), a path, or a `Model` (of `engine`); None: the task's default. A name that is not installed is downloaded.
    engine: one that exists; else the pipeline opens one. dtype (torch_dtype): "auto", "float32", "bfloat16", "float16" (which is bfloat16
    here), "int8", or PyTorch's names of these. batch_size: inputs that are computed together; None: as many as is good. options: as in a
    call.

    Raises ArgumentError (an unknown task, a dtype), NotFoundError, UnsupportedError (a model for something else) and what `Engine.load`
    does."""
    if task is not None and task not in TASKS:
        raise errors.ArgumentError(f"task is {task!r}; it may be {', '.join(map(repr, TASKS))}")
    if task is None and model is None:
        raise errors.ArgumentError("a pipeline needs a task or a model")
    own = engine is None and not isinstance(model, Model)
    if engine is None:
        engine = _engine_of(model) if isinstance(model, Model) else Engine()
    try:
        loaded = _load(engine, task, model, _precision(dtype if dtype is not None else torch_dtype), revision=revision, token=token)
        if device is not None and str(device) not in ("cpu", "auto", "-1"):
            warnings.warn(f"device={device!r} is ignored: the engine runs on the processor", UserWarning, stacklevel=2)
        for name in [name for name in options if name in _UNUSED]:
            if options.pop(name) is not None:
                warnings.warn(f"{name} is ignored: {_UNUSED[name]}", UserWarning, stacklevel=2)
        kind = AutomaticSpeechRecognitionPipeline if loaded.task == "transcribe" else TextToAudioPipeline
        return kind(
            engine, loaded, batch_size=batch_size, owns=(loaded, engine) if own else () if loaded is model else (loaded,), options=options
        )
    except BaseException:
        if own:
            engine.close()
        raise


def _engine_of(model: Model) -> Engine:
    if not isinstance(model.engine, Engine):
        raise TypeError("the model is of no sonant.Engine")
    return model.engine


def _load(engine: Engine, task: str | None, model: Any, precision: str | None, *, revision: str | None, token: str | None) -> Model:
    kind = None if task is None else TASKS[task]
    if isinstance(model, Model):
        if kind is not None and model.task != kind:
            raise errors.UnsupportedError(f"{model.name} is a model for {model.task!r}, and the task {task!r} needs one for {kind!r}")
        return model
    name = None if model is None else os.fspath(model)
    try:
        loaded = engine.load(name, task=kind, precision=precision)
    except errors.NotFoundError:
        if name is None or os.path.isabs(name) or name.startswith("."):
            raise
        engine.pull(name, revision=revision, token=token)
        loaded = engine.load(name, task=kind, precision=precision)
    if loaded.task not in TASKS.values():
        raise errors.UnsupportedError(f"{loaded.name} is a model for {loaded.task!r}; pipelines are for {', '.join(map(repr, TASKS))}")
    return loaded


def _precision(dtype: Any) -> str | None:
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    if name not in PRECISIONS:
        raise errors.ArgumentError(f"dtype is {dtype!r}; it may be {', '.join(map(repr, PRECISIONS))}")
    return PRECISIONS[name]


class _Pipeline:
    """What both have: an engine, a model, and options that hold for every call."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        *,
        batch_size: int | None = None,
        owns: tuple[Model | Engine, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        """owns: what `close` closes, in this order. options: of every call."""
        self.engine, self.model, self.batch_size = engine, model, batch_size
        self._owns, self._options = owns, options or {}

    def _all(self, inputs: Any, options: dict[str, Any], work: Callable[[Any, Cancel | None], dict[str, Any]]) -> Any:
        """A result for one input, a list for a list, an iterator for what is iterated, such as a data set. work: of one input, until the
        event is set."""
        jobs = check_jobs(options.pop("batch_size", None) or self.batch_size)
        if isinstance(inputs, (list, tuple)):
            return [outcome.get() for outcome in in_order(work, inputs, jobs)]
        if isinstance(inputs, Iterator) or type(inputs).__name__ in ("Dataset", "IterableDataset", "KeyDataset"):
            return (outcome.get() for outcome in in_order(work, inputs, jobs))
        return work(inputs, None)

    def close(self) -> None:
        """Gives back what the pipeline opened itself, model and engine. More than once is nothing."""
        for owned in self._owns:
            owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sonant.pipelines.{type(self).__name__} {self.model.name}>"


class AutomaticSpeechRecognitionPipeline(_Pipeline):
    """Speech to text; made by `pipeline("automatic-speech-recognition")`."""

    task = "automatic-speech-recognition"

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """inputs: a path, the bytes of a file, an array ([frames] float32 of 16 kHz), {"raw" or "array": an array, "sampling_rate": Hz}, or
        a list, tuple or iterator of these.

        return_timestamps: True (segments; not for CTC models), "word". return_language: chunks say their language. generate_kwargs: a
        mapping of language, task ("transcribe", "translate"), num_beams, temperature (a number, or a tuple of those that are tried),
        condition_on_prev_tokens, prompt, hotwords, vad, denoise, seed; these may also be given as options of the call. batch_size: inputs
        computed together.

        Returns {"text"} and, where timestamps or language were asked for, "chunks": [{"text", "timestamp": (start, end), "language"}];
        other keys of a dictionary come back as lists. An iterator gives an iterator. Raises ValueError (return_timestamps), TypeError,
        and what `Engine.transcribe` does."""
        options = {**self._options, **options}
        options.update(options.pop("generate_kwargs", None) or {})
        timestamps, tell = self._timestamps(options.pop("return_timestamps", None)), bool(options.pop("return_language", None))
        jobs = {"batch_size": options.pop("batch_size", None)}
        options.pop("ignore_warning", None)
        chosen = _heard_options(options)
        words = timestamps == "word"
        if self.model.info.words:
            chosen["words"] = words

        def work(given: Any, stop: Cancel | None) -> dict[str, Any]:
            audio, rate, extra = _audio(given)
            heard = self.engine.transcribe(audio, rate=rate, model=self.model, cancel=stop, **chosen)
            if not heard.text:
                warnings.warn(f"the text is empty: {'; '.join(note.message for note in heard.notes)}", UserWarning, stacklevel=4)
            return {"text": _text(heard), **_chunks(heard, timestamps, tell), **extra}

        return self._all(inputs, jobs, work)

    def _timestamps(self, asked: Any) -> bool | str:
        """False, True or "word"."""
        if not asked:
            return False
        if asked not in (True, "word"):
            raise errors.ArgumentError(f"return_timestamps is {asked!r}; it may be True (segments) or 'word'")
        if asked is True and self.model.info.architecture == "wav2vec2":
            raise errors.ArgumentError(f"{self.model.name} has no segments: set return_timestamps='word'")
        if asked == "word" and not self.model.info.words:
            raise errors.UnsupportedError(f"{self.model.name} gives no times of words")
        return bool(asked) if asked is True else "word"


def _heard_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options of generation as the engine's."""
    chosen: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _HEARD_NAMES:
            chosen[_HEARD_NAMES[name]] = value
        elif name == "language":
            chosen["language"] = str(value).strip("<|>").lower()
        elif name == "task":
            chosen["task"] = value
        elif name == "temperature" and isinstance(value, (list, tuple)):
            chosen.update(temperature=float(value[0]), fallback=len(value) > 1)
        elif name == "temperature":
            chosen.update(temperature=value, fallback=False)
        elif name in _HEARD_UNUSED:
            warnings.warn(f"{name}={value!r} is ignored: {_HEARD_UNUSED[name]}", UserWarning, stacklevel=4)
        else:
            raise TypeError(f"{name!r} is no option of this pipeline")
    return chosen


def _audio(given: Any) -> tuple[Any, int | None, dict[str, list[Any]]]:
    """Audio, its rate where it is an array, and what else a dictionary holds."""
    if isinstance(given, str) and given.startswith(("http://", "https://")):
        raise errors.ArgumentError(f"{given!r} is an address: fetch it first, and give the bytes or the file")
    if not isinstance(given, Mapping):
        return given, None, {}
    extra = dict(given)
    array = extra.pop("raw", None)
    if array is None:
        array = extra.pop("array", None)
        extra.pop("path", None)
    rate = extra.pop("sampling_rate", None)
    if array is None or rate is None:
        raise errors.ArgumentError(f"a dictionary needs 'raw' or 'array', and 'sampling_rate'; this one has {', '.join(map(repr, given))}")
    if extra.pop("stride", None) is not None:
        warnings.warn(f"stride is ignored: {_CHUNKS}", UserWarning, stacklevel=4)
    return array, int(rate), {name: [value] for name, value in extra.items()}


def _text(heard: Transcript) -> str:
    """The text as the model wrote it: Whisper's begins with a space."""
    return "".join(segment.text for segment in heard.segments) or heard.text


def _chunks(heard: Transcript, timestamps: bool | str, tell: bool) -> dict[str, Any]:
    if not timestamps and not tell:
        return {}
    language = {"language": _language_name(heard.language)} if tell else {}
    if timestamps == "word":
        chunks = [{"text": text, **language, "timestamp": (word.start, word.end)} for s in heard.segments for text, word in spaced(s)]
    elif timestamps:
        chunks = [{"text": s.text, **language, "timestamp": (s.start, s.end)} for s in heard.segments]
    else:
        chunks = [{"text": s.text, **language} for s in heard.segments]
    return {"chunks": chunks}


def _language_name(code: str) -> str | None:
    """ "en" gives "english", as Hugging Face says it."""
    from sonant._binding import ffi, lib, text

    return text(lib.sn_language_name(ffi.new("char[]", code.encode()))) or None


class TextToAudioPipeline(_Pipeline):
    """Text to speech; made by `pipeline("text-to-speech")`."""

    task = "text-to-audio"

    @property
    def sampling_rate(self) -> int:
        """Hz, of what it gives."""
        return self.model.info.sample_rate

    def __call__(self, text_inputs: Any, **options: Any) -> Any:
        """text_inputs: a text, or a list, tuple or iterator of texts.

        forward_params and generate_kwargs: mappings of voice (voice_preset), speaker_id, speaker_embeddings (an array, [values] or
        [1, values]), speed (speaking_rate), pitch, energy, emotion, language, seed, noise, noise_duration, pause, temperature, vocoder,
        ssml, which may also be given as options of the call. batch_size: texts computed together.

        Returns {"audio": [frames] float32, "sampling_rate": Hz}, a list of these for a list, an iterator for an iterator. Raises TypeError,
        and what `Engine.speak` does."""
        options = {**self._options, **options}
        if options.pop("preprocess_params", None):
            warnings.warn("preprocess_params is ignored: the engine reads the text itself", UserWarning, stacklevel=2)
        for name in ("forward_params", "generate_kwargs"):
            options.update(options.pop(name, None) or {})
        jobs = {"batch_size": options.pop("batch_size", None)}
        embedding = options.pop("speaker_embeddings", None)
        chosen = _spoken_options(options)

        def work(given: Any, stop: Cancel | None) -> dict[str, Any]:
            if not isinstance(given, str):
                raise TypeError(f"what is to be spoken must be text, not {type(given).__name__}")
            if embedding is None:
                speech = self.engine.speak(given, model=self.model, cancel=stop, **chosen)
            else:
                with tempfile.TemporaryDirectory(prefix="sonant-voice-") as folder:
                    speech = self.engine.speak(
                        given, model=self.model, cancel=stop, **{**chosen, "voice": _embedding_file(embedding, folder)}
                    )
            return {"audio": speech.samples, "sampling_rate": speech.sample_rate}

        return self._all(text_inputs, jobs, work)


def _spoken_options(options: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _SPOKEN or name in _SPOKEN_NAMES:
            chosen[_SPOKEN_NAMES.get(name, name)] = value
        elif name == "speaker_id":
            chosen["voice"] = str(int(value))
        elif name in _SPOKEN_UNUSED:
            warnings.warn(f"{name}={value!r} is ignored: {_SPOKEN_UNUSED[name]}", UserWarning, stacklevel=3)
        else:
            raise TypeError(f"{name!r} is no option of this pipeline")
    return chosen


def _embedding_file(embedding: Any, folder: str) -> str:
    """A voice's vector as a file, which is how the engine takes one."""
    import numpy as np

    path = os.path.join(folder, "voice.npy")
    np.save(path, np.ascontiguousarray(np.asarray(embedding, dtype=np.float32).reshape(-1)))
    return path
