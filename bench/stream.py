#!/usr/bin/env python3
"""Live speech in both directions: prints medians and 95th percentiles of what a user waits for.

usage: stream.py [--clips FOLDER] [--files GLOB] [--most SECONDS] [--model base] [--sonant build/sonant] [--threads 2] [--only stt,tts] [-v]

Speech to text: each clip goes into the standard input of `sonant listen` at the pace of the clock, 20 ms at a time. By this
program's clock:
  partial        from the write that completed its audio to its line
  final, endpoint  from the write of the audio at which the end of the utterance was decided (400 ms of silence) to its segment
  final, finish  from closing the pipe, where that came in the middle of an utterance, to the last segment
  cpu            seconds of computing per second of audio, loading included
Commits are checked to be what segments join. Each clip's text is compared with `sonant transcribe`; with transcripts (FOLDER/refs.tsv:
columns file, language, transcript) word errors of both are counted (pip install jiwer whisper-normalizer for numbers as in wer.py).
Clips: 16-bit wav; other formats where the Python package soundfile is there. Without --clips: the clip of the tests, whole and
cut in the middle of a word.
Text to speech: from the end of a sentence written to `sonant speak - --stream` to the first bytes of sound."""
import argparse, csv, fnmatch, json, os, pathlib, queue, re, resource, statistics, subprocess, sys, threading, time, wave

RATE = 16000
FRAME = 640  # bytes: 20 ms
SENTENCES = [
    "The quick brown fox jumps over the dog.", "Good morning.", "How can I help you today?", "Your train leaves from platform nine at half past six.",
    "I am sorry, I did not understand that.", "The weather tomorrow will be mostly sunny.", "Please hold the line.", "Yes, of course.",
    "There are three new messages in your inbox.", "The meeting has been moved to Thursday afternoon.", "Turn left at the next corner.",
    "Would you like to hear the news?", "That will be twelve dollars and fifty cents.", "She sells sea shells by the sea shore.",
    "The library closes in fifteen minutes.", "No.", "Thank you for calling, and have a pleasant evening.", "Your order has been shipped.",
    "The answer is forty two.", "He opened the door and looked outside.", "Nothing happened for a long time.", "We will be landing shortly.",
    "Remember to bring your passport.", "The old house stood alone on the hill.", "It rained all night long.", "Can you say that again?",
    "All of our agents are busy at the moment.", "The soup is too hot to eat.", "Dinner will be served at eight.", "See you next week.",
]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clips")
    p.add_argument("--files", default="*", help="pattern of files in refs.tsv")
    p.add_argument("--most", type=float, default=60, help="seconds of each clip")
    p.add_argument("--model", default="base")
    p.add_argument("--voice-model", default="joe")
    p.add_argument("--sonant", default="build/sonant")
    p.add_argument("--threads", default="2")
    p.add_argument("--only", default="stt,tts")
    p.add_argument("-v", action="store_true", help="print every clip")
    return p.parse_args()


def samples(path, most):
    """16-bit samples at 16 kHz, or None where this Python cannot read them."""
    try:
        with wave.open(str(path)) as clip:
            if (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) == (RATE, 1, 2):
                return clip.readframes(int(most * RATE))
    except (wave.Error, EOFError):
        pass
    try:
        import numpy, soundfile
    except ImportError:
        return None
    data, rate = soundfile.read(path, always_2d=True)
    data = data.mean(1)[:int(most * rate)]
    if rate != RATE:
        at = numpy.arange(int(len(data) * RATE / rate)) * rate / RATE
        data = numpy.interp(at, numpy.arange(len(data)), data)
    return (data * 32767).astype("<i2").tobytes()


def live(args, pcm, language):
    """Feeds a clip at the pace of the clock. Returns events with the time of their line, times of writes, of closing, and CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([args.sonant, "listen", "--format", "json", "-m", args.model, "-l", language, "--threads", args.threads],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    events = []

    def read():
        for line in process.stdout:
            events.append((time.monotonic(), json.loads(line)))
    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)  # the model is loaded by now
    start, written = time.monotonic(), []
    for at in range(0, len(pcm), FRAME):
        pause = start + (at + FRAME) / 2 / RATE - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        process.stdin.write(pcm[at:at + FRAME])
        written.append(time.monotonic())
    closed = time.monotonic()
    process.stdin.close()
    process.wait()
    reader.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.exit(f"sonant listen ended with status {process.returncode}")
    return events, written, closed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def waits(events, written, closed, seconds):
    """Milliseconds by kind."""
    found = {"partial": [], "final, endpoint": [], "final, finish": []}
    for when, e in events:
        if e["kind"] not in ("partial", "segment"):
            continue
        at_end = e["position"] >= seconds - 0.001
        frame = min(len(written) - 1, max(0, int(-(-e["position"] * RATE * 2 // FRAME)) - 1))
        since = closed if at_end else written[frame]
        kind = "partial" if e["kind"] == "partial" else "final, finish" if at_end else "final, endpoint"
        if not (kind == "partial" and at_end):
            found[kind].append((when - since) * 1000)
    return found


def line(name, values, unit="ms"):
    if values:
        ordered = sorted(values)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        print(f"{name:32} p50 {statistics.median(ordered):7.1f} {unit}   p95 {p95:7.1f} {unit}   {len(ordered)} values", flush=True)


def clips(args):
    here = pathlib.Path(__file__).parent.parent
    if not args.clips:
        pcm = samples(here / "tests/audio/jfk.wav", args.most)
        return [("jfk.wav", "en", None, pcm), ("jfk.wav, cut", "en", None, pcm[:int(6.9 * RATE) * 2])]
    with open(os.path.join(args.clips, "refs.tsv"), encoding="utf-8", newline="") as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE) if fnmatch.fnmatch(r["file"], args.files)]
    all_of = [(r["file"], r["language"].strip("-") or "en", r["transcript"], samples(os.path.join(args.clips, r["file"]), args.most)) for r in rows]
    return [c for c in all_of if c[3]]


def offline(args, pcm, language):
    import struct, tempfile
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with wave.open(file, "wb") as out:
            out.setnchannels(1), out.setsampwidth(2), out.setframerate(RATE)
            out.writeframes(pcm)
        file.flush()
        done = subprocess.run([args.sonant, "transcribe", file.name, "-m", args.model, "-l", language, "--format", "json", "--threads", args.threads],
                              capture_output=True, text=True)
    return json.loads(done.stdout)["text"]


def normaliser(language):
    try:
        from whisper_normalizer.basic import BasicTextNormalizer
        from whisper_normalizer.english import EnglishTextNormalizer
        return EnglishTextNormalizer() if language == "en" else BasicTextNormalizer(split_letters=language in ("ja", "zh"))
    except ImportError:
        return lambda text: " ".join(re.findall(r"[\w']+", text.lower()))


def errors(expected, found):
    a, b = expected.split(), found.split()
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, last + (x != y))
    return row[-1], len(a)


def listen(args):
    found, cpu, audio, counts = {}, 0, 0, {}
    for name, language, transcript, pcm in clips(args):
        seconds = len(pcm) / 2 / RATE
        events, written, closed, spent = live(args, pcm, language)
        said = {kind: "".join(e["text"] for _, e in events if e["kind"] == kind) for kind in ("commit", "segment")}
        if said["commit"] != said["segment"]:
            sys.exit(f"{name}: commits {said['commit']!r} are not segments {said['segment']!r}")
        cpu, audio = cpu + spent, audio + seconds
        mine = waits(events, written, closed, seconds)
        for kind, values in mine.items():
            found.setdefault(kind, []).extend(values)
        normal, file = normaliser(language), offline(args, pcm, language)
        pairs = {"live against file": (file, said["segment"])}
        if transcript and seconds < args.most:
            pairs.update({"live": (transcript, said["segment"]), "file": (transcript, file)})
        for key, (a, b) in pairs.items():
            count = counts.setdefault(key, [0, 0])
            for i, n in enumerate(errors(normal(a), normal(b))):
                count[i] += n
        if args.v:
            print(f"{name} {seconds:.1f} s, cpu {spent / seconds:.3f}", {k: [round(v) for v in values] for k, values in mine.items()}, said["segment"], flush=True)
    print(f"sonant listen, {args.model}, {args.threads} threads, {audio:.0f} s of audio at the pace of the clock")
    for kind, values in found.items():
        line(kind, values)
    print(f"{'cpu seconds per second':32} {cpu / audio:.3f}")
    for key, (wrong, words) in counts.items():
        print(f"{'words that differ, ' + key:32} {wrong} of {words}, {100 * wrong / max(words, 1):.2f} %")


def speak(args):
    process = subprocess.Popen([args.sonant, "speak", "-", "--stream", "-o", "-", "--audio", "pcm", "-m", args.voice_model, "--threads", args.threads],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    chunks = queue.Queue()

    def read():
        while data := process.stdout.read(65536):
            chunks.put((time.monotonic(), len(data)))
    threading.Thread(target=read, daemon=True).start()
    first = []
    for i, sentence in enumerate(["Ready."] + SENTENCES):  # the first one loads the model
        process.stdin.write((sentence + "\n\n").encode())
        start, heard = time.monotonic(), None
        while True:
            try:
                when, _ = chunks.get(timeout=10 if heard is None else 0.5)
                heard = heard or when
            except queue.Empty:
                break
        if heard is None:
            sys.exit(f"no sound for {sentence!r}")
        if i:
            first.append((heard - start) * 1000)
    process.stdin.close()
    process.wait()
    print(f"sonant speak --stream, {args.voice_model}, {args.threads} threads")
    line("first sound of a sentence", first)


args = parse()
if "stt" in args.only:
    listen(args)
if "tts" in args.only:
    speak(args)
