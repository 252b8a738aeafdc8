"""Many threads on one engine, calls that are broken off, lives that end in the wrong order."""

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import wave

import numpy as np
import pytest
from conftest import JFK, JFK_TEXT, TINY, needs_model, words

import sonant

WHISPER = str(TINY / "whisper")
PLAIN = {"beam_size": 1, "fallback": False, "vad": False}
SLOW = "PRELOAD" in os.environ
"""Under sanitizers times mean little."""


def jfk():
    with wave.open(str(JFK)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


PCM = jfk()
LONG = np.tile(PCM, 300)


def facts(transcript):
    return dataclasses.replace(transcript, processing_time=0)


def at_once(*calls):
    """What the calls give on a thread each, started together."""
    gate, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(i):
        gate.wait()
        try:
            results[i] = calls[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def check_eight(engine, model, clips, **options):
    def call(clip):
        return lambda: facts(engine.transcribe(clip, model=model, **options))

    single = [call(clip)() for clip in clips]
    assert len(clips) == 8 and len({result.text for result in single}) > 1
    assert at_once(*[call(clip) for clip in clips]) == single


def test_eight_threads_equal_their_single_results(engine):
    """Text, times, tokens, confidence: all of it."""
    clips = [PCM[16000 * i : 16000 * i + 32000 + 8000 * i] for i in range(8)]
    check_eight(engine, engine.load(WHISPER), clips, beam_size=2, vad=False)


@needs_model("whisper-tiny.en")
def test_eight_threads_equal_their_single_results_in_speech(engine):
    clips = [PCM[16000 * i :] for i in range(0, 8, 2)] * 2
    check_eight(engine, engine.load("tiny.en"), clips, beam_size=1)


def test_threads_that_ask_for_a_name_at_once_share_one_model():
    with sonant.Engine() as engine:
        results = at_once(*[lambda: facts(engine.transcribe(PCM, model=WHISPER, **PLAIN))] * 8)
        assert all(result == results[0] for result in results) and results[0].duration == 11
        assert len(engine._models) == 1


def test_the_interpreter_is_free_meanwhile(engine):
    model, done, steps = engine.load(WHISPER), threading.Event(), 0
    thread = threading.Thread(target=lambda: (engine.transcribe(LONG, model=model, length=1100, **PLAIN), done.set()))
    thread.start()
    longest, last = 0.0, time.monotonic()
    while not done.is_set():
        time.sleep(0.001)
        now = time.monotonic()
        steps, longest, last = steps + 1, max(longest, now - last), now
    thread.join()
    assert steps > 50 and (SLOW or longest < 0.5)


# ---- Ctrl-C ----


def interrupted(call):
    """Seconds from Ctrl-C to its exception; call(progress) runs until then."""
    started, sent = threading.Event(), []

    def press():
        started.wait(60)
        time.sleep(0.2)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()

    def run():
        call(lambda *_: started.set())
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        run()
    seconds = time.monotonic() - sent[0]
    thread.join()
    return seconds


def test_ctrl_c_ends_a_long_call_within_a_step(engine):
    model = engine.load(WHISPER)
    before = facts(engine.transcribe(PCM, model=model, **PLAIN))
    seconds = interrupted(lambda progress: engine.transcribe(LONG, model=model, progress=progress, **PLAIN))
    assert seconds < (10 if SLOW else 1)
    assert facts(engine.transcribe(PCM, model=model, **PLAIN)) == before


@needs_model("whisper-tiny.en")
def test_ctrl_c_of_one_thread_is_not_noticed_by_another(engine):
    model, other = engine.load("tiny.en"), []
    single = facts(engine.transcribe(PCM, model=model, beam_size=1))
    thread = threading.Thread(target=lambda: other.append(facts(engine.transcribe(PCM, model=model, beam_size=1))))

    def call(progress):
        thread.start()
        engine.transcribe(LONG, model=model, progress=progress)

    seconds = interrupted(call)
    thread.join()
    assert other == [single] and words(single.text) == JFK_TEXT and seconds < (20 if SLOW else 1.5)


def test_ctrl_c_ends_iterators(engine):
    model = engine.load(WHISPER)

    def segments(progress):
        for segment in engine.segments(LONG, model=model, **PLAIN):
            progress(segment)

    def many(progress):
        for outcome in engine.transcribe_many([PCM, LONG, LONG], model=model, **PLAIN):
            progress(outcome)

    for call in (segments, many):
        assert interrupted(call) < (20 if SLOW else 2)
    gc.collect()
    end = time.monotonic() + 20
    while [thread for thread in threading.enumerate() if thread.name.startswith("sonant-")]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_ctrl_c_ends_the_work_behind_an_iterator_that_is_still_held(engine):
    """As a notebook holds it, by the traceback."""
    segments = engine.segments(LONG, model=engine.load(WHISPER), **PLAIN)
    waiting, wait = threading.Event(), segments._line.get
    next(segments)
    segments._line.get = lambda: (waiting.set(), time.sleep(60), wait())
    threading.Thread(target=lambda: (waiting.wait(60), os.kill(os.getpid(), signal.SIGINT))).start()
    with pytest.raises(KeyboardInterrupt):
        next(segments)
    segments._worker.join(20)
    assert not segments._worker.is_alive() and list(segments) == []


# ---- lives ----


def test_calls_under_way_end_before_a_closed_engine_does():
    engine = sonant.Engine()
    model = engine.load(WHISPER)
    expected = facts(engine.transcribe(LONG, length=110, model=model, **PLAIN))
    begun, results = threading.Event(), []

    def work():
        results.append(facts(engine.transcribe(LONG, length=110, model=model, progress=lambda *_: begun.set(), **PLAIN)))

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    engine.close()
    with pytest.raises(sonant.ClosedError, match=r"the (engine|model) is closed"):
        engine.transcribe(PCM, model=model)
    thread.join()
    assert results == [expected]


def test_a_function_may_close_the_engine_that_calls_it():
    engine = sonant.Engine(threads=1)
    result = engine.transcribe(PCM, model=WHISPER, on_segment=lambda _: engine.close(), **PLAIN)
    assert result.duration == 11 and engine.closed


CALLS = {
    "transcribe": lambda engine, model: engine.transcribe(PCM, model=model),
    "segments": lambda engine, model: list(engine.segments(PCM, model=model)),
    "many": lambda engine, model: [outcome.get() for outcome in engine.transcribe_many([PCM], model=model)],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_use_after_close(call):
    engine = sonant.Engine(threads=1)
    model = engine.load(WHISPER)
    model.close()
    with pytest.raises(sonant.ClosedError, match="the model is closed"):
        call(engine, model)
    engine.close()
    with pytest.raises(sonant.ClosedError, match="the engine is closed"):
        call(engine, WHISPER)


def test_an_engine_that_nobody_holds_lives_while_it_is_used():
    segments = sonant.Engine(threads=1).segments(LONG, model=WHISPER, length=110, **PLAIN)
    gc.collect()
    found = list(segments)
    assert len(found) > 3 and segments.info.duration == 110
    del segments
    gc.collect()


def run(code):
    """A program of its own: it must end well and silently. Returns what it writes."""
    head = f"""
    import atexit, os, sys, threading, time, wave
    import numpy as np, sonant
    atexit.register(lambda: print(*[t.name for t in threading.enumerate() if t.name.startswith("sonant-")]))
    file = wave.open({str(JFK)!r})
    pcm = np.tile(np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768, 300)
    engine = sonant.Engine()
    model = engine.load({WHISPER!r})
    plain = dict(model=model, beam_size=1, fallback=False, vad=False)
    """
    program = textwrap.dedent(head) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "threading.Thread(target=engine.transcribe, args=(pcm,), kwargs=plain, daemon=True).start(); time.sleep(0.3)",
        """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.__cxa_atexit(libc.sleep, ctypes.c_void_p(2), None)
        threading.Thread(target=engine.transcribe, args=(pcm,), kwargs=plain, daemon=True).start(); time.sleep(0.3)
        """,
        """
        def slow(*_): time.sleep(0.01)
        for _ in range(3):
            threading.Thread(target=lambda: engine.transcribe(pcm, progress=slow, **plain), daemon=True).start()
        time.sleep(0.3)
        """,
        "segments = engine.segments(pcm, **plain); next(segments)",
        "outcomes = engine.transcribe_many([pcm[:16000]] + [pcm] * 5, **plain); next(outcomes)",
        "segments = engine.segments(pcm, **plain); next(segments); engine.close(); model.close()",
        "threading.Thread(target=engine.transcribe, args=(pcm,), kwargs=plain, daemon=True).start(); time.sleep(0.3); engine.close()",
    ],
    ids=["daemon", "daemon that outlives the interpreter", "daemons with progress", "segments", "many", "closed iterator", "closed engine"],
)
def test_a_program_may_end_while_something_works(code):
    """Threads of the package end with it."""
    assert run(code).split() == []


def test_a_fork_is_told_to_open_its_own_while_something_works():
    code = (
        """
    segments = engine.segments(pcm, **plain)
    next(segments)
    child = os.fork()
    if child == 0:
        short, told = pcm[:16000], 0
        for call in (
            lambda: engine.transcribe(short, **plain),
            lambda: next(segments),
            lambda: next(engine.segments(short, **plain)),
            lambda: next(engine.transcribe_many([short], **plain)).get(),
        ):
            try:
                call()
            except sonant.ClosedError as error:
                told += "open an engine here" in str(error)
        segments.close(); model.close(); engine.close()
        with sonant.Engine(threads=1) as own:
            told += own.transcribe(short, **{**plain, "model": """
        + repr(WHISPER)
        + """}).duration == 1
        os._exit(told)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), next(segments).id)
    segments.close(); engine.close()
    """
    )
    assert run(code).split() == ["5", "1"]


@pytest.mark.skipif(SLOW, reason="times mean nothing under sanitizers")
def test_a_call_costs_less_than_a_millisecond(engine):
    """Beyond what the library takes."""
    model, samples, spent = engine.load(WHISPER), PCM[:16000], []
    for _ in range(30):
        start = time.perf_counter()
        result = engine.transcribe(samples, model=model, **PLAIN)
        spent.append(time.perf_counter() - start - result.processing_time)
    assert min(spent) < 0.001, sorted(spent)[:5]
