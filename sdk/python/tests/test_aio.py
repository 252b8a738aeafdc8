"""The engine in asyncio: the same results, a loop that is never held up, and an engine that a cancelled task leaves at once."""

import asyncio
import faulthandler
import gc
import inspect
import os
import threading
import time
import types
import wave

import numpy as np
import pytest
from conftest import JFK, JFK_TEXT, TINY, needs_model, words

import sonant
from sonant.types import Commit, Partial, Segment

WHISPER = str(TINY / "whisper")
GREEDY = {"beam_size": 1, "fallback": False}
heard = needs_model("tiny.en", "silero-vad")


def samples():
    """[frames] float32 at 16 kHz."""
    with wave.open(str(JFK)) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), np.int16).astype(np.float32) / 32768


def chunks():
    clip = samples()
    return [clip[at : at + 1600] for at in range(0, len(clip), 1600)]


def endless():
    """Minutes of work for any machine."""
    return np.concatenate([samples()] * 300)


def use(test, **options):
    """Runs a coroutine function of an engine."""

    async def main():
        async with sonant.AsyncEngine(**options) as engine:
            return await asyncio.wait_for(test(engine), 120)

    return asyncio.run(main())


async def idle(engine, deadline=30.0):
    """Waits until no thread of the engine's calls works any more; seconds."""
    begin = time.monotonic()
    while engine._pool._work_queue.qsize() or engine._pool._idle_semaphore._value < len(engine._pool._threads):
        assert time.monotonic() - begin < deadline, "a call goes on"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


def test_every_method_has_its_twin():
    methods = [name for name in dir(sonant.Engine) if not name.startswith("_")]
    for name in methods:
        mine, twin = getattr(sonant.Engine, name), getattr(sonant.AsyncEngine, name, None)
        assert twin is not None, f"AsyncEngine has no {name}"
        if callable(mine) and name != "close":
            assert inspect.signature(twin) == inspect.signature(mine) and twin.__doc__ == mine.__doc__
    assert set(inspect.signature(sonant.Engine).parameters) <= set(inspect.signature(sonant.AsyncEngine).parameters)


@heard
def test_calls_give_what_the_engine_gives():
    async def test(engine):
        model = await engine.load("tiny.en")
        text = await engine.transcribe(samples(), model=model, **GREEDY)
        both = await asyncio.gather(*(engine.transcribe(JFK, model="tiny.en", **GREEDY) for _ in range(2)))
        direct = engine.engine.transcribe(samples(), model=model, **GREEDY)
        assert words(text.text) == JFK_TEXT and {t.text for t in both} == {text.text}
        assert text.segments == direct.segments
        assert "openai/whisper-tiny.en" in [m.name for m in await engine.models() if m.installed]
        assert (await engine.quality(samples(), rate=16000, scores=False)).duration == 11.0
        assert engine.threads >= 1 and engine.home and engine.cpu

    use(test)


@heard
def test_many_and_segments():
    async def test(engine):
        model = await engine.load("tiny.en")
        stream = engine.segments(JFK, model=model, **GREEDY)
        assert stream.info is None
        text = "".join([s.text async for s in stream])
        assert words(text) == JFK_TEXT and stream.info.duration == 11.0
        outcomes = [o async for o in engine.transcribe_many([JFK, "missing.wav"], model=model, **GREEDY)]
        assert words(outcomes[0].get().text) == JFK_TEXT and isinstance(outcomes[1].error, sonant.NotFoundError)

    use(test)


def test_errors_come_out():
    async def test(engine):
        with pytest.raises(sonant.NotFoundError, match="nonsense"):
            await engine.load("nonsense")
        with pytest.raises(TypeError, match="no option 'lang'"):
            await engine.transcribe(samples(), model=WHISPER, lang="en")
        with pytest.raises(ValueError, match="unknown format"):
            await anext(engine.listen([], model=WHISPER, format="x"))
        with pytest.raises(TypeError, match="iterable"):
            await anext(engine.listen(5, model=WHISPER))
        stream = engine.speak_stream("a")
        with pytest.raises(sonant.ClosedError, match="go through"):
            stream.result  # noqa: B018

    use(test)
    for calls in (0, 257):
        with pytest.raises(ValueError, match=f"calls is {calls}; it may be 1 to 256"):
            sonant.AsyncEngine(calls=calls)


# -- listening --


@heard
@pytest.mark.parametrize("source", ["asynchronous", "iterable"])
def test_events_come_while_the_source_waits(source):
    async def test(engine):
        seen = asyncio.Event()
        told = threading.Event()

        async def microphone():
            for at, chunk in enumerate(chunks()):
                if at == 20:
                    await asyncio.wait_for(seen.wait(), 20)
                yield chunk

        def blocking():
            for at, chunk in enumerate(chunks()):
                assert at != 20 or told.wait(20), "no partial came while the source was waiting"
                yield chunk

        model, text = await engine.load("tiny.en"), ""
        async for event in engine.listen(microphone() if source == "asynchronous" else blocking(), model=model):
            text += event.text if isinstance(event, Segment) else ""
            if isinstance(event, (Partial, Commit)):
                seen.set()
                told.set()
        assert words(text) == JFK_TEXT

    use(test)


@heard
def test_a_listener_is_gone_through():
    async def test(engine):
        listener = await engine.listener(model="tiny.en")
        for chunk in chunks():
            assert listener.push(chunk)
        listener.finish()
        text = "".join([e.text async for e in listener if isinstance(e, Segment)])
        assert words(text) == JFK_TEXT

    use(test)


@needs_model("silero-vad")
def test_what_the_source_raises_comes_out():
    async def test(engine):
        async def microphone():
            yield np.zeros(1600, np.float32)
            raise LookupError("unplugged")

        with pytest.raises(LookupError, match="unplugged"):
            async for _ in engine.listen(microphone(), model=WHISPER):
                pass

    use(test)


@needs_model("silero-vad")
def test_a_cancelled_task_ends_its_stream():
    async def test(engine):
        begun, ended = asyncio.Event(), asyncio.Event()

        async def microphone():
            try:
                while True:
                    begun.set()
                    yield np.zeros(1600, np.float32)
                    await asyncio.sleep(0.01)
            finally:
                ended.set()

        async def listen():
            async for _ in engine.listen(microphone(), model=WHISPER):
                pass

        task = asyncio.create_task(listen())
        await asyncio.wait_for(begun.wait(), 60)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 30)

    use(test)


@needs_model("silero-vad")
def test_a_cancel_beside_an_event_is_not_lost():
    async def test(engine):
        listener = await engine.listener(model=WHISPER)

        async def wait():
            while True:
                await listener._session.wait_async(5)
                listener._session.clear()

        for turns in list(range(6)) * 3:
            task = asyncio.create_task(wait())
            await asyncio.sleep(0.001)
            listener._session.wake()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            assert (await asyncio.wait([task], timeout=20))[0], f"the cancel {turns} turns behind an event was lost"
        listener.close()

    use(test, threads=1)


@needs_model("silero-vad")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_left_behind_closes_its_descriptor_once(engine, monkeypatch):
    closed, close = [], os.close
    monkeypatch.setattr(os, "close", lambda file: (closed.append(file), close(file)))

    async def listen():
        listener = engine.listener(model=WHISPER)
        opened.append(listener._session._signal)
        async for _ in listener:
            pass

    opened, loop = [], asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    task = loop.create_task(listen())
    loop.call_later(0.2, loop.stop)
    loop.run_forever()
    loop._selector.close()  # and nothing more: the task, its coroutine and the session are found together
    del loop, task
    gc.collect()
    assert closed.count(opened[0]) == 1


# -- the loop and the engine stay free --


def test_a_stream_that_is_collected_while_a_call_begins():
    """Whatever lock the pool holds at that moment."""

    async def test(engine):
        closed = []
        for moment in range(1, 60):
            gc.disable()
            stream = engine.segments(samples(), model=WHISPER)
            stream._loop, stream._given = asyncio.get_running_loop(), types.SimpleNamespace(close=lambda: closed.append(1))
            cycle = [stream]
            cycle.append(cycle)
            del stream, cycle
            gc.set_threshold(moment)
            gc.enable()
            call = asyncio.get_running_loop().run_in_executor(engine._pool, int)
            gc.disable()
            await call
        gc.collect()
        while len(closed) < 59:
            await asyncio.sleep(0.01)

    before = gc.get_threshold()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        use(test, threads=1)
    finally:
        faulthandler.cancel_dump_traceback_later()
        gc.set_threshold(*before)
        gc.enable()


@heard
def test_the_loop_keeps_its_pace():
    async def test(engine):
        model = await engine.load("tiny.en")
        ticks, stop = 0, False

        async def tick():
            nonlocal ticks
            while not stop:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        begin = time.monotonic()
        await engine.transcribe(np.concatenate([samples()] * 3), model=model, **GREEDY)
        spent, counted = time.monotonic() - begin, ticks
        stop = True
        await ticking
        assert counted > 0.05 * spent / 0.01, f"{counted} ticks of 10 ms in {spent} s"

    use(test, threads=1)


@heard
@pytest.mark.parametrize("kind", [asyncio.CancelledError, asyncio.TimeoutError])
def test_a_cancelled_call_frees_the_engine(kind):
    async def test(engine):
        model = await engine.load("tiny.en")
        other = asyncio.create_task(engine.transcribe(samples(), model=model, **GREEDY))
        task = asyncio.create_task(engine.transcribe(endless(), model=model, **GREEDY))
        if kind is asyncio.CancelledError:
            asyncio.get_running_loop().call_later(0.5, task.cancel)
        with pytest.raises(kind):
            await asyncio.wait_for(task, 60 if kind is asyncio.CancelledError else 0.5)
        assert words((await other).text) == JFK_TEXT
        await idle(engine)
        assert words((await engine.transcribe(samples(), model=model, **GREEDY)).text) == JFK_TEXT

    use(test, threads=1)


def test_an_event_of_the_callers_own_ends_a_call():
    async def test(engine):
        cancel = threading.Event()
        asyncio.get_running_loop().call_later(0.2, cancel.set)
        with pytest.raises(sonant.CancelledError):
            await engine.transcribe(endless(), model=WHISPER, cancel=cancel)

    use(test, threads=1)


@pytest.mark.parametrize("way", ["aclose", "break", "cancel"])
def test_what_is_gone_through_in_threads_ends_early(way):
    async def test(engine):
        async def take(stream):
            async for _ in stream:
                begun.set()
                if way == "break":
                    break

        begun = asyncio.Event()
        stream = engine.transcribe_many((samples() for _ in range(10**6)), model=WHISPER, **GREEDY)
        task = asyncio.create_task(take(stream))
        await begun.wait()
        if way == "cancel":
            task.cancel()
        elif way == "aclose":
            await stream.aclose()
        await asyncio.gather(task, return_exceptions=True)
        await stream.aclose() if way == "cancel" else None
        del stream, task
        gc.collect()
        await idle(engine)
        end = time.monotonic() + 30
        while [t for t in threading.enumerate() if t.name == "sonant-job"] and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert not [t for t in threading.enumerate() if t.name == "sonant-job"]

    use(test, threads=1)


# -- speech --


@needs_model("joe")
def test_speech_of_pieces_that_are_still_written():
    async def test(engine):
        async def writer():
            for piece in ("Good mor", "ning to you. ", "How are ", "you today?"):
                yield piece
                await asyncio.sleep(0.01)

        stream = engine.speak_stream(writer(), model="joe")
        count = sum([len(chunk.samples) async for chunk in stream])
        assert count > 22050 and stream.result.sentences == 2
        whole = await engine.speak("Good morning.", model="joe")
        assert whole.duration > 0.4

    use(test)


# -- lives --


def test_a_closed_engine_says_so():
    async def test(engine):
        await engine.close()
        await engine.close()
        assert engine.closed
        with pytest.raises(sonant.ClosedError, match="closed"):
            await engine.transcribe(samples())
        with pytest.raises(sonant.ClosedError, match="closed"):
            await anext(engine.listen([]))

    use(test, threads=1)


def test_a_shared_engine_stays_open(engine):
    async def test():
        async with sonant.AsyncEngine(engine) as mine:
            assert mine.engine is engine and (await mine.load(WHISPER)).engine is engine
        assert mine.closed
        with pytest.raises(sonant.ClosedError):
            await mine.load(WHISPER)

    asyncio.run(test())
    engine.load(WHISPER).close()


def test_loops_of_several_threads_share_an_engine():
    mine, texts = sonant.AsyncEngine(threads=1), []

    def run():
        async def test():
            events = [e async for e in mine.listen(chunks(), model=WHISPER, live=False, vad=False, **GREEDY) if isinstance(e, Segment)]
            texts.append((events, await mine.transcribe(samples(), model=WHISPER, vad=False, **GREEDY)))

        asyncio.run(test())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 4 and all(t[0] == texts[0][0] and t[1].text == texts[0][1].text for t in texts)
    asyncio.run(mine.close())
