#!/usr/bin/env python3
"""How exact the times of words are, beside other engines, on clips whose alignment is known.

usage: align.py [--sonant build/sonant] [--spoken build/tests/spoken] [--model base] [--audio FOLDER] [--python PYTHON] [--only NAMES] [--keep FOLDER]

Two kinds of clips:
  spoken  sentences by the Piper voice joe, whose own phoneme durations say when each word is said, alone and joined to longer clips
  joined  recorded clips with silences of known length between them: the first word of each begins where its clip's speech begins,
          found by the energy of the clean clip. Clips: tests/audio/jfk.wav, and those that FOLDER's refs.tsv lists (file, language, transcript;
          16 kHz wav, English)
Prints for each engine: words compared, median and 95th percentile of the error of their starts, the share within 200 ms, and how many
of all its words start in the silence between. faster-whisper is measured where PYTHON imports it (FASTER_WHISPER_MODEL: its CTranslate2 directory,
default: Sonant's own copy), whisper.cpp where WHISPER_CLI and WHISPER_GGML say where it is (WHISPER_DTW: name of its preset, default: base)."""
import argparse, array, difflib, json, os, pathlib, random, re, subprocess, sys, tempfile, wave

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = pathlib.Path(os.environ.get("SONANT_HOME", pathlib.Path.home() / ".cache/sonant"))
SENTENCES = """The quick brown fox jumps over a lazy dog, and nobody saw him again.
Every morning the baker opens her shop before sunrise.
She lights the oven, weighs flour, and shapes seven loaves by hand.
My neighbor bought twelve green apples yesterday afternoon.
Nobody could remember where they had parked their car.
We walked along the river until evening light faded behind distant mountains.
Seventeen students finished their homework before dinner.
When winter comes, many birds fly south across the ocean.
The old clock struck midnight, yet nobody seemed tired.
Our train leaves platform nine at eleven thirty tonight.
Doctor Brown asked whether anyone had seen his glasses.
Children played football near an abandoned railway station.
Her voice sounded calm, but her hands were shaking.
They sold fresh bread, cheese, olives and red wine.
A small boat drifted slowly toward the open sea.
Scientists measured temperature, pressure and humidity every hour.
Silence filled the room after he finished speaking.
Thirty minutes later, everyone had gone home.
Could you tell me which road leads back into town?
The museum displays paintings from four different centuries.
Heavy rain flooded several streets during last night.
He wrote three letters, burned two, and mailed one.
Music from an upstairs apartment kept everybody awake.
Farmers harvested wheat while dark clouds gathered above.
Yesterday, somebody left a yellow umbrella beside my desk.
Good teachers explain difficult ideas using simple words.
The committee will announce its final decision next Tuesday.
Without any warning, both engines stopped working.
Fresh snow covered every roof, fence and garden path.
Honest people rarely need elaborate excuses.
Two hundred soldiers crossed that narrow bridge before dawn.""".splitlines()
SPEEDS = (1, 0.85, 1.2)
NEAR = 0.2        # seconds
EDGE = 0.1        # seconds of a silence at whose edges a start may lie
FASTER_WHISPER = r"""
import json, sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="float32", cpu_threads=2)
for path in sys.argv[2:]:
    segments, _ = model.transcribe(path, language="en", word_timestamps=True, vad_filter=False)
    print(json.dumps([[w.word, w.start] for s in segments for w in s.words]), flush=True)
"""


class Clip:
    """known: word, start in seconds, or start None where only the word is known; silences: (start, end)."""
    def __init__(self, rate=16000):
        self.rate, self.pcm, self.known, self.silences = rate, array.array("h"), [], []

    def seconds(self):
        return len(self.pcm) / self.rate

    def silence(self, seconds, noise=random.Random(1)):
        start = self.seconds()
        self.pcm.extend(noise.randint(-2, 2) for _ in range(round(seconds * self.rate)))
        self.silences.append((start, self.seconds()))

    def add(self, pcm, known):
        start = self.seconds()
        self.known += [(word, None if at is None else start + at) for word, at in known]
        self.pcm.extend(pcm)

    def write(self, path):
        with wave.open(str(path), "wb") as out:
            out.setparams((1, 2, self.rate, 0, "NONE", ""))
            out.writeframes(self.pcm.tobytes())


def read_wav(path):
    with wave.open(str(path), "rb") as f:
        if f.getnchannels() != 1 or f.getsampwidth() != 2:
            raise ValueError(f"{path}: only 16-bit mono is read here")
        return f.getframerate(), array.array("h", f.readframes(f.getnframes()))


def onset(rate, pcm):
    """Where speech begins: the first of three 10 ms frames that are less than 30 dB below the loudest ones."""
    size = rate // 100
    power = [sum(x * x for x in pcm[i:i + size]) / size for i in range(0, len(pcm) - size, size)]
    loud = sorted(power)[int(len(power) * 0.95)]
    for i in range(len(power) - 2):
        if min(power[i:i + 3]) > loud / 1000:
            return i * size / rate
    return 0


def voice(name="en_US-joe-medium.onnx"):
    return next(iter(sorted((HOME / "models").glob("*/" + name))), None)


def speak(spoken, text, seed, speed, folder):
    """A clip of one sentence with all its words, or None where its phonemes run together."""
    path = pathlib.Path(folder) / "sentence.wav"
    done = subprocess.run([str(spoken), str(voice()), str(path), str(seed), str(speed), text], capture_output=True, text=True)
    if done.returncode == 3:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    rate, pcm = read_wav(path)
    clip = Clip(rate)
    clip.add(pcm, [(word, float(line.split()[0])) for word, line in zip(text.split(), done.stdout.splitlines())])
    return clip


def join(clips, pauses):
    """Clips with silences before, between and behind them."""
    whole = Clip(clips[0].rate)
    for clip, pause in zip(clips, pauses):
        whole.silence(pause)
        whole.add(clip.pcm, clip.known)
    whole.silence(pauses[-1])
    return whole


def recorded(path, transcript):
    rate, pcm = read_wav(path)
    clip, words = Clip(rate), transcript.split()
    clip.add(pcm, [(words[0], onset(rate, pcm))] + [(word, None) for word in words[1:]])
    return clip


def plain(word):
    return re.sub(r"[^a-z0-9']", "", word.lower())


def errors(clip, found):
    """found: (word, start). Errors in seconds of those words whose start is known and that were found, and how many start in silence."""
    heard, known = [plain(w) for w, _ in found], [plain(w) for w, _ in clip.known]
    result = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, heard, known, autojunk=False).get_opcodes():
        if kind == "equal":
            result += [found[a + k][1] - clip.known[c + k][1] for k in range(b - a) if clip.known[c + k][1] is not None]
    silent = sum(any(start + EDGE < at < end - EDGE for start, end in clip.silences) for _, at in found)
    return result, silent


def summary(errors):
    size = sorted(map(abs, errors))
    return (len(size), size[len(size) // 2], size[min(len(size) - 1, int(len(size) * 0.95))], sum(x <= NEAR for x in size) / len(size)) if size else None


def run_sonant(sonant, model, paths, *options):
    done = subprocess.run([str(sonant), "transcribe", *paths, "-m", model, "-l", "en", "--words", "--format", "json", *options], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if len(lines) != len(paths):
        raise RuntimeError(done.stderr)
    return [[(w["word"], w["start"]) for w in json.loads(line).get("word_timestamps", [])] for line in lines]


def run_faster_whisper(python, model, paths):
    done = subprocess.run([python, "-c", FASTER_WHISPER, model, *paths], capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else None


def run_whisper_cpp(cli, model, preset, paths):
    """Words by the times of their first tokens (t_dtw, 10 ms)."""
    result = []
    for path in paths:
        subprocess.run([cli, "-m", model, "-l", "en", "-t", "2", "-nfa", "-dtw", preset, "-ojf", "-of", path, "-f", path], capture_output=True)
        words = []
        for segment in json.load(open(path + ".json", encoding="utf-8", errors="replace"))["transcription"]:
            for token in segment["tokens"]:
                if token["text"].startswith("[_"):
                    continue
                if token["text"].startswith(" ") or not words:
                    words.append([token["text"], token["t_dtw"] / 100])
                else:
                    words[-1][0] += token["text"]
        result.append([w for w in words if w[1] >= 0])
    return result


def spoken_clips(spoken, folder):
    single = [speak(spoken, text, i + 1, SPEEDS[i % 3], folder) for i, text in enumerate(SENTENCES)]
    single = [clip for clip in single if clip]
    pauses = random.Random(2)
    return single + [join(single[i:i + 5], [pauses.uniform(0.3, 3) for _ in range(6)]) for i in range(0, len(single), 5)]


def joined_clips(audio):
    pieces = [recorded(ROOT / "tests/audio/jfk.wav", "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.")]
    for line in open(audio / "refs.tsv", encoding="utf-8").read().splitlines()[1:] if audio else []:
        file, language, transcript = line.split("\t")[:3]
        if language == "en" and file.startswith("open/") and file.endswith(".wav") and "jfk" not in file and len(transcript) < 500:
            try:
                piece = recorded(audio / file, transcript)
            except (ValueError, wave.Error):
                continue
            pieces += [piece] if piece.rate == 16000 and piece.seconds() > 1.5 else []
    pauses = random.Random(3)
    groups = [pieces[i:i + 4] for i in range(0, len(pieces), 4)]
    return [join(group, [pauses.uniform(0.5, 6) for _ in range(len(group) + 1)]) for group in groups]


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--sonant", default=str(ROOT / "build/sonant"))
    p.add_argument("--spoken", default=str(ROOT / "build/tests/spoken"))
    p.add_argument("--model", default="base")
    p.add_argument("--audio", type=pathlib.Path)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--only", default="sonant,sequential,faster-whisper,whisper.cpp")
    p.add_argument("--keep", help="folder for the clips")
    args = p.parse_args()
    os.environ.setdefault("SONANT_HELPERS", str(pathlib.Path(args.sonant).resolve().parent / "helpers"))
    folder = pathlib.Path(args.keep or tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    sets = {"spoken": spoken_clips(args.spoken, folder) if voice() else [], "joined": joined_clips(args.audio)}
    cli, ggml = os.environ.get("WHISPER_CLI"), os.environ.get("WHISPER_GGML")
    fast = os.environ.get("FASTER_WHISPER_MODEL", str(HOME / "models/whisper-base"))
    engines = {
        "sonant": lambda paths: run_sonant(args.sonant, args.model, paths), "sequential": lambda paths: run_sonant(args.sonant, args.model, paths, "--vad", "off"),
        "faster-whisper": lambda paths: run_faster_whisper(args.python, fast, paths),
        "whisper.cpp": lambda paths: run_whisper_cpp(cli, ggml, os.environ.get("WHISPER_DTW", "base"), paths) if cli and ggml else None,
    }
    print("| clips | engine | words | median ms | 95 % ms | within 200 ms | starts in silence |\n|---|---|---|---|---|---|---|")
    for kind, clips in sets.items():
        paths = [str(folder / f"{kind}{i:02}.wav") for i in range(len(clips))]
        for clip, path in zip(clips, paths):
            clip.write(path)
        for name in args.only.split(",") if clips else []:
            found = engines[name](paths)
            if not found:
                print(f"| {kind} | {name} | - | - | - | - | - |")
                continue
            scores = [errors(clip, words) for clip, words in zip(clips, found)]
            n, median, most, near = summary([e for s, _ in scores for e in s])
            print(f"| {kind} | {name} | {n} | {median * 1000:.0f} | {most * 1000:.0f} | {near:.1%} | {sum(s for _, s in scores)} of {sum(map(len, found))} |", flush=True)


if __name__ == "__main__":
    main()
