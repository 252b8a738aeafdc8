#!/usr/bin/env python3
"""Sonant beside its peers, in turn, in the same minutes: prints a table of medians and ratios.

usage: compare.py [--rounds 3] [--jfk CLIP.wav] [--long CLIP.wav] [--sonant build/sonant] [--only asr,long,engine,tts]

Peers are measured where they are found, else their column says "-":
  faster-whisper, piper-tts   importable by this Python (pip install faster-whisper piper-tts)
  whisper.cpp                 WHISPER_CLI: its whisper-cli; WHISPER_GGML: models separated by ":" (q8_0, q5_0, ...)
The peers' weights: FASTER_WHISPER_MODEL (CTranslate2 directory of base; default: Sonant's own copy), PIPER_VOICE (.onnx; default: Sonant's own).
All engines get 2 threads. "loaded" figures are measured inside one process after a warm-up; "process" ones from outside."""
import argparse, json, os, re, resource, subprocess, statistics, sys, time

SHORT = "The quick brown fox jumps over the dog."
PARAGRAPH = (
    "Every morning the baker opens her shop before the sun is up. She lights the oven, weighs the flour, and shapes the loaves by hand, one after another, "
    "until the long table is full. By the time the first people pass on their way to work, the whole street smells of warm bread. Some of them stop for a roll, "
    "others only wave through the window. When the last loaf is sold she sweeps the floor, writes down what she needs for the next day, and walks home along the "
    "river, where the evening light lies on the water and the boats come in.")
HOME = os.environ.get("SONANT_HOME", os.path.expanduser("~/.cache/sonant"))

FASTER_WHISPER = r"""
import json, resource, sys, time
from faster_whisper import WhisperModel, BatchedInferencePipeline
model, dtype, beam, mode, runs, clip = sys.argv[1:7]
start = time.perf_counter(); m = WhisperModel(model, device="cpu", compute_type=dtype, cpu_threads=2); load = time.perf_counter() - start
b = BatchedInferencePipeline(m)
def go():
    s, _ = b.transcribe(clip, language="en", beam_size=int(beam), batch_size=8) if mode == "batched" else m.transcribe(clip, language="en", beam_size=int(beam))
    return "".join(x.text for x in s)
times = []
go() if int(runs) > 1 else None
for _ in range(int(runs)):
    start = time.perf_counter(); text = go(); times.append(time.perf_counter() - start)
print(json.dumps({"load": load, "times": times, "text": text, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

PIPER = r"""
import json, sys, time
import onnxruntime
keep = onnxruntime.InferenceSession
class Two(keep):
    def __init__(self, *a, **k):
        o = k.get("sess_options") or onnxruntime.SessionOptions(); o.intra_op_num_threads = 2; k["sess_options"] = o; super().__init__(*a, **k)
onnxruntime.InferenceSession = Two
import piper.voice; piper.voice.onnxruntime.InferenceSession = Two
from piper import PiperVoice
voice = PiperVoice.load(sys.argv[1]); runs = int(sys.argv[2])
def go(text):
    start = time.perf_counter(); first = None; seconds = 0
    for c in voice.synthesize(text):
        first = first or time.perf_counter() - start
        seconds += len(c.audio_int16_array) / c.sample_rate
    return first, time.perf_counter() - start, seconds
out = {}
for name, text in json.loads(sys.argv[3]).items():
    go(text); out[name] = [go(text) for _ in range(runs)]
print(json.dumps(out))
"""


def run(command, **kw):
    """Wall seconds, peak MB and standard output of a whole process; None when it cannot be started or fails."""
    start = time.perf_counter()
    try:
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    except OSError:
        return None
    out, err = p.communicate()
    wall = time.perf_counter() - start
    if p.returncode:
        print(f"  ({command[0]}: {err.strip().splitlines()[-1] if err.strip() else p.returncode})", file=sys.stderr)
        return None
    return wall, out


def peak_mb(command):
    done = subprocess.run(["/usr/bin/env", "python3", "-c",
                           "import resource,subprocess,sys; subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,check=True);"
                           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"] + command, capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, unit, ours, peer_name="", peer=None, goal=""):
        mid = statistics.median(ours) if ours else None
        other = statistics.median(peer) if peer else None
        self.rows.append((what, unit, mid, peer_name, other, mid / other if mid and other else None, goal))
        r = self.rows[-1]
        text = lambda x: "-" if x is None else f"{x:.3f}" if x < 100 else f"{x:.0f}"
        print(f"{r[0]:58} {text(r[2]):>8} {r[1]:8} {r[3]:32} {text(r[4]):>8}  ratio {text(r[5]):>6}  {goal}", flush=True)


def sonant_bench(args, clip, *more):
    done = run([args.sonant, "bench", "--format", "json", "-t", "2", "-l", "en"] + list(more) + ([clip] if clip else []))
    return {m["name"]: m for m in json.loads(done[1])["measures"]} if done else {}


def faster(args, clip, dtype, beam, mode, runs):
    model = os.environ.get("FASTER_WHISPER_MODEL", os.path.join(HOME, "models", "whisper-base"))
    done = run([sys.executable, "-c", FASTER_WHISPER, model, dtype, str(beam), mode, str(runs), clip])
    return json.loads(done[1]) if done else None


def asr(args, table):
    name = os.path.basename(args.jfk)
    for beam in (1, 5):
        ours, peer = [], {"int8": [], "float32": []}
        for _ in range(args.rounds):
            b = sonant_bench(args, args.jfk, "--no-tts", "--beam", str(beam), "--vad", "off", "-m", "base")
            ours.append(b[name + ", transcribe"]["median"])
            for dtype in peer:
                f = faster(args, args.jfk, dtype, beam, "sequential", 5)
                peer[dtype] += [statistics.median(f["times"])] if f else []
        best = min((d for d in peer if peer[d]), key=lambda d: statistics.median(peer[d]), default=None)
        table.add(f"{name}, base, loaded, beam {beam}, auto", "s", ours, f"faster-whisper {best}" if best else "faster-whisper", peer.get(best),
                  "at most 0.33" if beam == 1 else "")
    cli, models = os.environ.get("WHISPER_CLI"), os.environ.get("WHISPER_GGML", "").split(":")
    command = [args.sonant, "transcribe", args.jfk, "-m", "base", "-l", "en", "--beam", "1", "-t", "2", "--vad", "off"]
    run(command)
    ours, peers = [], {m: [] for m in models if m and cli}
    for _ in range(max(5, args.rounds)):
        ours.append(run(command)[0])
        for m in peers:
            done = run([cli, "-m", m, "-f", args.jfk, "-t", "2", "-l", "en", "-bs", "1", "-bo", "1", "-nt"])
            peers[m] += [done[0]] if done else []
    best = min((m for m in peers if peers[m]), key=lambda m: statistics.median(peers[m]), default=None)
    table.add(f"{name}, base, whole process, second run", "s", ours, f"whisper.cpp {os.path.basename(best)}" if best else "whisper.cpp", peers.get(best),
              "at most 0.25")
    table.add(f"{name}, base, int8, peak memory", "MB", [peak_mb(command)], "", None, "at most 145")


def long(args, table):
    for mode, vad, goal in (("batched", "on", "at most 0.33"), ("sequential", "off", "at most 0.33")):
        ours, peer, mb = [], [], []
        for _ in range(max(1, args.rounds // 2)):
            b = sonant_bench(args, args.long, "--no-tts", "--beam", "1", "--vad", vad, "-m", "base", "-n", "1")
            ours.append(b[os.path.basename(args.long) + ", transcribe"]["median"])
            f = faster(args, args.long, "int8", 1, mode, 1)
            if f:
                peer.append(f["times"][0])
                mb.append(f["mb"])
        table.add(f"{os.path.basename(args.long)}, base, loaded, {mode}", "s", ours, f"faster-whisper int8 {mode}", peer, goal)
        ours_mb = peak_mb([args.sonant, "transcribe", args.long, "-m", "base", "-l", "en", "--beam", "1", "-t", "2", "--vad", vad])
        table.add(f"{os.path.basename(args.long)}, base, {mode}, peak memory", "MB", [ours_mb], "faster-whisper", mb)


def engine(args, table):
    peak_program = os.path.join(os.path.dirname(args.sonant), "bench-peak")
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["cc", "-O2", "-pthread", os.path.join(here, "peak.c"), "-o", peak_program], check=True)
    for dtype, goal in (("bf16", 3.8), ("int8", 2.0)):
        gflops, step = [], []
        peak = []
        for _ in range(args.rounds):
            b = sonant_bench(args, None, "--no-tts", "--dtype", dtype, "-m", "base", "-n", "7")
            for m in b.values():
                if "Gflop" in m["unit"]:
                    gflops.append(m["median"])
                if "decoder" in m["name"] and m["unit"] == "ms":
                    step.append(m["median"])
            peaks = json.loads(subprocess.run([peak_program], capture_output=True, text=True).stdout)
            peak += [peaks.get("bf16_gflops_2", peaks["f32_gflops_2"])]
        table.add(f"encoder of base, {dtype}", "Gflop/s", gflops, "bf16 peak of 2 cores", peak, "at least 0.5" if dtype == "bf16" else "")
        table.add(f"decoder step of base, batch 1, {dtype}", "ms", step, "", None, f"at most {goal}")
    loads = []
    for _ in range(max(5, args.rounds)):
        done = run([args.sonant, "bench", "--format", "json", "-t", "2", "--no-tts", "-m", "base", "-n", "1"])
        loads.append(next(m["median"] for m in json.loads(done[1])["measures"] if "load" in m["name"]))
    table.add("base ready, warm page cache (load alone)", "ms", loads, "", None, "at most 50")


def tts(args, table):
    voice = os.environ.get("PIPER_VOICE", os.path.join(HOME, "models", "joe", "en_US-joe-medium.onnx"))
    ours, peer = {}, {}
    for _ in range(args.rounds):
        for m in sonant_bench(args, None, "--no-stt", "-n", "5", "--speaker", "joe").values():
            ours.setdefault(m["name"], []).append(m["median"] / 1e3)
        done = run([sys.executable, "-c", PIPER, voice, "5", json.dumps({"short": SHORT, "paragraph": PARAGRAPH})])
        for name, values in json.loads(done[1]).items() if done else ():
            peer.setdefault(name + " first", []).append(statistics.median(v[0] for v in values))
            peer.setdefault(name + " total", []).append(statistics.median(v[1] for v in values))
    for key, theirs, goal in (("speak 8 words, total", "short total", "at most 0.5"), ("speak 102 words, total", "paragraph total", "at most 0.5"),
                              ("speak 102 words, first audio", "paragraph first", "at most 0.33")):
        table.add(f"joe, loaded, {key}", "s", ours.get(key), "piper-tts", peer.get(theirs), goal)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--sonant", default=os.path.join(here, "build", "sonant"))
    p.add_argument("--jfk", default=os.path.join(here, "tests", "audio", "jfk.wav"))
    p.add_argument("--long", default="", help="a long clip in English; left out when not given")
    p.add_argument("--only", default="asr,long,engine,tts")
    args = p.parse_args()
    table = Table()
    for part in args.only.split(","):
        if part == "long" and not args.long:
            continue
        {"asr": asr, "long": long, "engine": engine, "tts": tts}[part](args, table)


main()
