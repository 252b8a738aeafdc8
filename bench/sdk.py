#!/usr/bin/env python3
"""What Python costs: importing the package, and a call beyond what the engine itself takes.

usage: PYTHONPATH=build/sdk/python SONANT_HELPERS=build/helpers build/testenv/bin/python bench/sdk.py [RUNS]
The model is a tiny checkpoint of random weights, so that the call is nearly all there is; a call's own time is `processing_time`."""
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
import sonant

ROOT = pathlib.Path(__file__).resolve().parent.parent
TINY = str(ROOT / "tests/fixtures/tiny/whisper")
VOICE = str(ROOT / "tests/fixtures/tiny/vits-sdp")
IMPORT = "import sys, time, numpy; a = time.perf_counter(); import sonant; b = time.perf_counter(); sonant.Engine; print(b - a, time.perf_counter() - b)"


def show(name, seconds):
    print(f"{name:44} median {1e3 * statistics.median(seconds):7.2f} ms, 95 % {1e3 * sorted(seconds)[int(0.95 * len(seconds))]:7.2f} ms")


def beyond(call, runs):
    """Seconds of a call that the engine does not count as its own."""
    out = []
    for _ in range(runs):
        start = time.perf_counter()
        result = call()
        out.append(time.perf_counter() - start - result.processing_time)
    return out


def main(runs):
    times = [list(map(float, subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout.split())) for _ in range(9)]
    show("import sonant, beyond numpy", [t[0] for t in times])
    show("the first use of sonant.Engine", [t[1] for t in times])
    noise = (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)
    with sonant.Engine() as engine:
        model, voice = engine.load(TINY), engine.load(VOICE)
        options = {"model": model, "language": "en", "beam_size": 1, "vad": False, "fallback": False}
        for name, source in (("a second of float32", noise), ("a second of int16", (noise * 32767).astype(np.int16)), ("a path", ROOT / "tests/audio/jfk.wav")):
            engine.transcribe(source, **options)
            show(f"transcribe, {name}: beyond the engine", beyond(lambda s=source: engine.transcribe(s, **options), runs))
        show("speak: beyond the engine", beyond(lambda: engine.speak("Hello.", model=voice), runs))
        alone = engine.transcribe(ROOT / "tests/audio/jfk.wav", **options)
        results = [None] * 8

        def hear(i):
            results[i] = engine.transcribe(ROOT / "tests/audio/jfk.wav", **options)

        threads = [threading.Thread(target=hear, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        print("8 threads at once:", "equal to one alone" if all(r.segments == alone.segments for r in results) else "NOT EQUAL")


main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
