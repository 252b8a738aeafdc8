"""Live captions: what comes out, when, and how it ends."""

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
import types
import wave

import numpy as np
import pytest
from conftest import JFK, JFK_TEXT, TINY, needs_model, words

import sonant
from sonant.types import Commit, Language, Note, Partial, Segment

WHISPER = str(TINY / "whisper")
WAV2VEC2 = str(TINY / "wav2vec2-base")
live = needs_model("tiny.en", "silero-vad")
detects = needs_model("silero-vad")


def samples():
    """[frames] int16 at 16 kHz."""
    with wave.open(str(JFK)) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), np.int16)


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def floats():
    return samples().astype(np.float32) / 32768


def at_rate(rate):
    """The clip at another rate, [frames] float32."""
    from sonant._samples import Samples, resampled

    return resampled(Samples(floats(), 16000), rate).pcm


def texts(events):
    """Commits, segments."""
    return tuple("".join(e.text for e in events if isinstance(e, kind)) for kind in (Commit, Segment))


@pytest.fixture(scope="module")
def tiny(engine):
    return engine.load("tiny.en")


SOURCES = {
    "float32": lambda: (pieces(floats(), 1600), {}),
    "44.1 kHz": lambda: (iter(pieces(at_rate(44100), 4410)), {"rate": 44100}),
    "bytes at 48 kHz": lambda: (pieces((at_rate(48000) * 32767).astype("<i2").tobytes(), 9599), {"rate": 48000}),
    "a file's bytes": lambda: (pieces(JFK.read_bytes(), 4096), {"format": "wav"}),
}


@live
@pytest.mark.parametrize("source", SOURCES)
def test_what_is_said_is_heard(engine, tiny, source):
    chunks, options = SOURCES[source]()
    events = list(engine.listen(chunks, model=tiny, **options))
    commits, segments = texts(events)
    assert commits == segments and words(segments) == JFK_TEXT
    assert isinstance(events[0], Language) and events[0].language == "en"
    said = [w for e in events if isinstance(e, Segment) for w in e.words]
    assert 0 < said[0].start < 1 and 9.5 < said[-1].end < 11 and len(said) == 22


def test_chunks_of_all_kinds_are_heard_alike(engine):
    clip = samples()[:48000]
    sound = clip.astype(np.float32) / 32768
    kinds = [
        pieces(sound, 1600),
        pieces(clip, 777),
        pieces(sound.astype(np.float64), 48000),
        pieces(np.stack([sound, sound], axis=1), 1600),
        pieces(clip.tobytes(), 3333),
        [memoryview(clip.tobytes()), b"", np.zeros(0, np.float32)[:0].tobytes()],
        [np.zeros((0, 2), np.int16), *pieces(clip.astype(np.int32) * 65536, 1600)],
    ]
    options = {"model": WHISPER, "live": False, "vad": False, "beam_size": 1, "fallback": False, "guards": False}
    heard = [[e for e in engine.listen(chunks, **options) if isinstance(e, Segment)] for chunks in kinds]
    assert heard[0] and all(h == heard[0] for h in heard)


@live
def test_partials_come_while_the_source_waits(engine, tiny):
    """A microphone that says nothing more until somebody has seen a partial."""
    seen = threading.Event()

    def microphone():
        clip = pieces(floats(), 1600)
        yield from clip[:20]
        assert seen.wait(20), "no partial came while the source was waiting"
        yield from clip[20:]

    events = []
    for event in engine.listen(microphone(), model=tiny, words=False):
        events.append(event)
        if isinstance(event, (Partial, Commit)):
            seen.set()
    assert words(texts(events)[0]) == JFK_TEXT


@live
def test_without_partials(engine, tiny):
    events = list(engine.listen(pieces(floats(), 1600), model=tiny, partial_interval=-1))
    assert not [e for e in events if isinstance(e, Partial)] and words(texts(events)[1]) == JFK_TEXT


@live
def test_a_silence_says_why_there_is_no_text(engine, tiny):
    events = list(engine.listen([np.zeros(16000, np.float32)] * 3, model=tiny))
    assert [e.code for e in events if isinstance(e, Note)] == ["no_speech"]


def test_models_that_are_not_live(engine):
    with pytest.raises(sonant.UnsupportedError, match="cannot be listened to live"):
        engine.listen([floats()], model=WAV2VEC2)
    events = list(engine.listen(pieces(floats(), 1600), model=WAV2VEC2, live=False))
    assert [e for e in events if isinstance(e, Segment)] and not [e for e in events if isinstance(e, (Partial, Commit))]


@live
def test_a_plain_session_gives_segments(engine, tiny):
    events = list(engine.listen(pieces(floats(), 16000), model=tiny, live=False, beam_size=1))
    assert {type(e) for e in events} <= {Language, Segment, Note} and words(texts(events)[1]) == JFK_TEXT


@pytest.mark.parametrize(
    ("chunks", "options", "kind", "message"),
    [
        (7, {}, TypeError, "iterable of arrays or bytes, such as a list of them, not int"),
        (b"abc", {}, TypeError, "not bytes"),
        (np.zeros(9, np.float32), {}, TypeError, "not ndarray"),
        ([np.zeros(9, np.float32), None], {}, TypeError, "a chunk must be an array of samples or bytes, not NoneType"),
        ([], {"partial_interval": 0}, ValueError, "partial_interval is 0; it may be"),
        ([b"ab"], {"channels": np.int64(0)}, ValueError, "channels is 0; it may be 1 to 8"),
        ([["a"]], {}, TypeError, "a chunk must be an array of samples or bytes, not list"),
        ([np.zeros((2, 2, 2), np.float32)], {}, ValueError, "shape"),
        ([np.array([0, np.nan], np.float32)], {}, sonant.FormatError, "frame 1 is nan"),
        ([np.zeros(9, np.float32), b"ab"], {}, TypeError, "so far were arrays, and this one is bytes"),
        ([b"abc"], {}, sonant.FormatError, "in the middle of a sample"),
        ([b"abc" * 99], {"format": "wav"}, sonant.FormatError, "cannot be read as audio"),
        ([], {"format": "x"}, ValueError, "unknown format of a stream"),
        ([], {"channels": 9}, ValueError, "9 channels"),
        ([], {"rate": 5}, ValueError, "rate of 5 Hz"),
        ([], {"rate": "5"}, TypeError, "rate must be a whole number"),
        ([], {"language": "klingon"}, ValueError, "klingon"),
        ([], {"beam_size": 5}, sonant.UnsupportedError, "beam"),
        ([], {"start": 5}, TypeError, "no option 'start'"),
        ([], {"cancel": 5}, TypeError, "cancel must be an event"),
    ],
)
@detects
def test_bad_input(engine, chunks, options, kind, message):
    with pytest.raises(kind, match=message):
        list(engine.listen(chunks, model=WHISPER, vad=True, **options))


@detects
def test_what_the_source_raises_comes_out(engine):
    def microphone():
        yield np.zeros(1600, np.float32)
        raise LookupError("unplugged")

    with pytest.raises(LookupError, match="unplugged"):
        list(engine.listen(microphone(), model=WHISPER))


def endless():
    while True:
        yield np.zeros(1600, np.float32)


def speech_again_and_again():
    while True:
        yield from pieces(floats(), 1600)


@detects
def test_a_fast_source_is_held_back(engine):
    taken = 0

    def source():
        nonlocal taken
        for chunk in endless():
            taken += 1
            yield chunk

    with engine.listen(source(), model=WHISPER) as stream:
        threading.Timer(1.0, stream.cancel).start()
        with pytest.raises(sonant.CancelledError):
            for _ in stream:
                pass
    held = taken
    time.sleep(0.2)
    assert taken <= held + 1, "the source goes on"


@detects
def test_a_source_waits_while_nobody_takes_results(engine):
    """The session rests with what it has queued: some minutes of silence at most, where an endless source would give hours."""
    taken = 0

    def source():
        nonlocal taken
        for chunk in speech_again_and_again():
            taken += len(chunk)
            yield chunk

    with engine.listen(source(), model=WHISPER, language="en") as stream:
        next(stream)
        before = -1
        end = time.monotonic() + 60
        while taken != before and time.monotonic() < end:
            before = taken
            time.sleep(1.0)
        assert taken == before, f"{taken / 16000:.0f} s were taken, and it goes on"


def feeders():
    return [t for t in threading.enumerate() if t.name == "sonant-feed"]


def gone(deadline=30.0):
    end = time.monotonic() + deadline
    while feeders() and time.monotonic() < end:
        time.sleep(0.01)
    return not feeders()


@detects
def test_closing_ends_the_feeder(engine):
    """By another thread than the one that waits for events, which is told."""
    asked, told = threading.Semaphore(0), []

    def source():
        for chunk in endless():
            asked.release()
            time.sleep(0.01)
            yield chunk

    def read():
        with pytest.raises(sonant.Error):
            list(stream)
        told.append(True)

    stream = engine.listen(source(), model=WHISPER)
    reader = threading.Thread(target=read)
    reader.start()
    asked.acquire()
    stream.close()
    reader.join(30)
    assert told and gone()


@detects
def test_closing_the_engine_ends_what_is_listened_to():
    """Also where the source gives nothing that would fail."""
    engine, asked, closed = sonant.Engine(threads=1), threading.Event(), threading.Event()

    def source():
        yield np.zeros(1600, np.float32)
        asked.set()
        closed.wait(20)

    def close():
        asked.wait()
        engine.close()
        closed.set()

    threading.Thread(target=close).start()
    with pytest.raises(sonant.ClosedError):
        list(engine.listen(source(), model=WHISPER))
    assert gone()


class Stirring:
    """A chunk whose making does something."""

    shape = (160,)

    def __init__(self, act):
        self.act = act

    def __array__(self, *_, **__):
        self.act()
        return np.zeros(160, np.float32)


@detects
def test_a_stream_that_is_collected_by_its_own_feeder(engine):
    """Garbage is collected in any thread, also in one that has the session's turn."""
    dropped = threading.Event()

    def collect():
        dropped.wait(20)
        gc.collect()

    cycle = types.SimpleNamespace(stream=engine.listen((Stirring(collect) for _ in range(10**6)), model=WHISPER))
    cycle.me = cycle
    cycle.stream._start_thread()
    del cycle
    dropped.set()
    assert gone(), "the feeder waits for itself"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@detects
def test_a_stream_is_closed_in_a_fork(engine):
    """While a thread of the parent has the session's turn."""
    inside, leave = threading.Event(), threading.Event()

    def wait():
        inside.set()
        leave.wait(20)

    with engine.listen((Stirring(wait) for _ in range(9)), model=WHISPER) as stream:
        stream._start_thread()
        inside.wait(20)
        child = os.fork()
        if child == 0:
            stream.close()
            os._exit(7)
        leave.set()
        end = time.monotonic() + 20
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
            time.sleep(0.01)
        if ended[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert ended[0] == child and os.waitstatus_to_exitcode(ended[1]) == 7


@detects
def test_cancelling_ends_the_feeder(engine):
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    with pytest.raises(sonant.CancelledError):
        list(engine.listen((time.sleep(0.01) or c for c in endless()), model=WHISPER, cancel=cancel))
    assert gone()


@detects
def test_an_interrupt_ends_within_a_step():
    """Ctrl-C while nothing comes, neither from the source nor from the engine."""
    code = f"""
import sys, threading, time, sonant, numpy as np
def source():
    yield np.zeros(1600, np.float32)
    print("waiting", flush=True)
    time.sleep(60)
    yield np.zeros(1600, np.float32)
with sonant.Engine(threads=1) as engine:
    try:
        for event in engine.listen(source(), model={WHISPER!r}):
            pass
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "waiting\n"
        time.sleep(0.3)
        begin = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n" and time.monotonic() - begin < 20
        assert child.wait(30) == 0


# -- the listener --


@live
def test_a_listener_in_a_loop_of_ones_own(engine, tiny):
    """Pushes and pulls on one thread, and sleeps on the descriptor alone."""
    events = []
    with engine.listener(model=tiny, format="wav") as listener:
        for chunk in pieces(JFK.read_bytes(), 20000):
            while not listener.push(chunk):
                select.select([listener], [], [], 20)
                events += iter(listener.pull, None)
            events += iter(listener.pull, None)
        listener.finish()
        while not listener.ended:
            assert select.select([listener], [], [], 20)[0], "nothing was told"
            event = listener.pull()  # one for each look: what is left must be told again
            events += [] if event is None else [event]
        assert listener.pull() is None and select.select([listener], [], [], 0)[0]
    commits, segments = texts(events)
    assert commits == segments and words(segments) == JFK_TEXT


@live
def test_a_listener_takes_audio_of_any_length(engine, tiny):
    """More than the engine's queue holds, in one push; the caller's memory is its own again."""
    clip = np.concatenate([floats(), np.zeros(16000 * 300, np.float32), floats()])
    with engine.listener(model=tiny, live=False, beam_size=1) as listener:
        given = clip.copy()
        assert listener.push(given) and not listener.push(given[:1600])
        given[:] = 0
        listener.finish()
        text = words(texts(list(listener.events()))[1])
    assert text.count("your country can do for you") == 2


@detects
def test_a_listener_that_is_over(engine):
    listener = engine.listener(model=WHISPER)
    listener.finish()
    listener.finish()
    with pytest.raises(sonant.ClosedError, match="finished"):
        listener.push(np.zeros(16, np.float32))
    listener.cancel()
    with pytest.raises(sonant.CancelledError):
        list(listener.events())
    listener.close()
    listener.close()
    with pytest.raises(sonant.ClosedError, match="closed"):
        listener.pull()


@detects
def test_a_listener_that_is_closed_by_another_thread(engine):
    listener = engine.listener(model=WHISPER)
    threading.Timer(0.2, listener.close).start()
    with pytest.raises(sonant.Error):
        list(listener.events())


@detects
def test_a_listener_of_a_closed_engine():
    engine = sonant.Engine(threads=1)
    listener = engine.listener(model=WHISPER)
    engine.close()
    with pytest.raises(sonant.ClosedError):
        listener.push(np.zeros(16, np.float32))


# -- the microphone --


class FakeStream:
    def __init__(self, samplerate, channels, dtype, device, blocksize):
        assert (samplerate, channels, dtype) == (16000, 1, "float32")
        if device == "none":
            raise ValueError("no input device matching 'none'")
        self.clip = pieces(floats(), blocksize)
        FakeStream.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        FakeStream.closed = True

    def read(self, frames):
        block = self.clip.pop(0) if self.clip else np.zeros(frames, np.float32)
        return block[:, None], not self.clip


@pytest.fixture
def sounddevice(monkeypatch):
    fake = types.ModuleType("sounddevice")
    fake.InputStream, fake.PortAudioError = FakeStream, type("PortAudioError", (Exception,), {})
    monkeypatch.setitem(sys.modules, "sounddevice", fake)


@live
def test_a_microphone_is_listened_to(engine, tiny, sounddevice):
    heard = ""
    for event in engine.listen(sonant.microphone(), model=tiny):
        heard += event.text if isinstance(event, Segment) else ""
        if words(heard) == JFK_TEXT:
            break
    assert gone() and FakeStream.closed


def test_microphones_that_cannot_be_heard(monkeypatch, sounddevice):
    with pytest.raises(OSError, match="microphone 'none' cannot be read: no input device"):
        next(sonant.microphone(device="none"))
    with pytest.raises(ValueError, match=r"block is 11 s; it may be 0\.001 to 10\.0 s"):
        sonant.microphone(block=11)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(sonant.DependencyError, match=r"pip install \"sonant\[microphone\]\""):
        sonant.microphone()
