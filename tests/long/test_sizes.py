"""Whisper at full size, of random weights: what each size says, in which precision, with beams and in batches, and what memory it takes.

usage: test_sizes.py SONANT [SIZE...]      default: tiny, small and large-v3-turbo. Needs about 4 GB of disk and of memory.
The checkpoints say the same words whatever they hear (bench/whisper_sizes.py), so texts can be compared."""
import json, os, shutil, subprocess, sys, tempfile, wave

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench"))
import whisper_sizes as sizes

BYTES = {"int8": 1.25, "bf16": 2.2}  # resident for each parameter, and 100 MB
number = failures = 0


def check(name, ok, why=""):
    global number, failures
    number += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {number} - {name}" + ("" if ok else f"\n# {why}"), flush=True)


def transcribe(sonant, home, model, clip, *options):
    """(text, peak MB); a run that fails ends the test."""
    env = dict(os.environ, SONANT_HOME=home)
    _, peak, text = sizes.peak_of([sonant, "transcribe", clip, "-m", model, "-l", "en", "--vad", "off", "--guards", "off", *options], env)
    return text.split(), peak


def estimate(sonant, home, model, dtype):
    env = dict(os.environ, SONANT_HOME=home)
    _, out, _ = sizes.run([sonant, "models", "info", model, "--dtype", dtype, "-f", "json"], env)
    return json.loads(out)["memory"] / 1e6


def refused(sonant, home, model):
    env = dict(os.environ, SONANT_HOME=home)
    done = subprocess.run([sonant, "transcribe", sizes.CLIP, "-m", model, "--max-memory", "64M"], env=env, capture_output=True, text=True)
    return done.returncode == 10 and "would fit" in done.stderr, done.stderr


def minute(path):
    with wave.open(sizes.CLIP) as clip:
        shape, data = clip.getparams(), clip.readframes(clip.getnframes())
    with wave.open(path, "wb") as out:
        out.setparams(shape)
        out.writeframes(data * 6)


def one_size(sonant, size, folder):
    home, long_clip = os.path.join(folder, "home"), os.path.join(folder, "minute.wav")
    minute(long_clip)
    model = sizes.make(size, folder)
    words = None
    for dtype, factor in BYTES.items():
        first, first_peak = transcribe(sonant, home, model, sizes.CLIP, "--dtype", dtype, "--beam", "1")
        again, peak = transcribe(sonant, home, model, sizes.CLIP, "--dtype", dtype, "--beam", "1")
        beams, _ = transcribe(sonant, home, model, long_clip, "--dtype", dtype, "--beam", "5", "--no-condition")
        words = words or first
        most = factor * sizes.parameters(size) / 1e6 + 100
        check(f"{size} {dtype}: says what it must", len(first) == sizes.SAYS and first == again == words, f"{first} {again} {words}")
        check(f"{size} {dtype}: several windows with beams", len(beams) > sizes.SAYS and beams[:sizes.SAYS] == words, str(beams))
        check(f"{size} {dtype}: {peak:.0f} MB, at most {most:.0f}", peak <= most)
        check(f"{size} {dtype}: {first_peak:.0f} MB while it is packed", first_peak <= 1.15 * most)
        guess = estimate(sonant, home, model, dtype)
        check(f"{size} {dtype}: {guess:.0f} MB estimated", abs(guess - peak) < 0.15 * peak, f"{peak:.0f} MB measured")
        shutil.rmtree(os.path.join(home, "packed"), ignore_errors=True)
    check(f"{size}: refused where there is no memory for it", *refused(sonant, home, model))
    shutil.rmtree(model)


def main():
    os.environ.pop("MALLOC_PERTURB_", None)  # Meson's: it touches all that is reserved
    sonant, chosen = sys.argv[1], sys.argv[2:] or ["tiny", "small", "large-v3-turbo"]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        for size in chosen:
            one_size(sonant, size, folder)
        parts = sizes.make("tiny", folder, "bf16", 3)
        text, _ = transcribe(sonant, os.path.join(folder, "home"), parts, sizes.CLIP, "--beam", "1")
        check("tiny in three bfloat16 shards", len(text) == sizes.SAYS, str(text))
    print(f"1..{number}")
    sys.exit(failures > 0)


main()
