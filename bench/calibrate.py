#!/usr/bin/env python3
"""The numbers of src/speech/confidence.c: how probable a word is to be right, fitted on clips with transcripts.

usage: calibrate.py gather CLIPS WORDS.jsonl [--noise FOLDER] [--snr clean,10,5,0] [--models base,tiny.en]
       calibrate.py fit WORDS.jsonl...

gather transcribes the clips of CLIPS/refs.tsv (columns file, language, transcript), each also mixed with a stretch of the noises at the
given ratios, and writes one line per word that the model wrote: what the decoder knew of it, and whether it is right, which an
alignment with the transcript decides after Whisper's normaliser (a word is right when the alignment matches it).
fit makes the logistic map by Newton's method, checks it by leaving out one fifth of the clips at a time, and prints coefficients, Brier
scores and the reliability table of docs/confidence.md. Words count for the clip they are of, so that no clip is on both sides.
Needs: pip install numpy soundfile jiwer whisper-normalizer tokenizers; $SONANT_HOME with the models."""
import argparse, csv, json, os, subprocess, sys, tempfile, zlib

import numpy as np

FEATURES = ["constant", "mean", "tokens"]


def normalisers():
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer
    english, basic = EnglishTextNormalizer(), BasicTextNormalizer()
    return lambda language: english if language == "en" else basic


def mix(path, noises, snr, out):
    """The clip with a stretch of one of the noises under it, chosen by the clip's name."""
    import soundfile
    speech, rate = soundfile.read(path, dtype="float32", always_2d=True)
    speech = speech.mean(axis=1)
    if snr is not None:
        seed = zlib.crc32(os.path.basename(path).encode())
        noise, noise_rate = soundfile.read(noises[seed % len(noises)], dtype="float32", always_2d=True)
        noise = noise.mean(axis=1)
        at = np.arange(len(speech)) * (noise_rate / rate) + seed % 16000
        noise = np.interp(at % (len(noise) - 1), np.arange(len(noise)), noise)
        power = lambda x: float(np.mean(np.square(x))) + 1e-12
        speech = speech + noise * np.sqrt(power(speech) / power(noise) / 10 ** (snr / 10))
        speech = speech / max(1.0, np.abs(speech).max())
    soundfile.write(out, speech, rate, subtype="PCM_16")


def words_of(segment, tokenizer):
    """The segment's words as sn_words_split parts them: at spaces. Each is (text, log probabilities)."""
    words, ids, logprobs = [], [], []

    def close():
        text = tokenizer.decode(ids, skip_special_tokens=False).strip() if ids else ""
        if text:
            words.append((text, list(logprobs)))
        ids.clear()
        logprobs.clear()

    special = tokenizer.token_to_id("<|endoftext|>")
    for token, logprob in zip(segment["tokens"], segment["token_logprobs"]):
        if token >= special or (tokenizer.id_to_token(token) or "").startswith("\u0120"):
            close()
        if token < special:
            ids.append(token)
            logprobs.append(logprob)
    close()
    return words


def label(words, reference, normal):
    """For each word whether the alignment matches it; None for one that the normaliser leaves nothing of."""
    import jiwer
    pieces = [normal(text).split() for text, _ in words]
    found = [piece for piece_list in pieces for piece in piece_list]
    right = set()
    if found and reference.split():
        for chunk in jiwer.process_words(reference, " ".join(found)).alignments[0]:
            if chunk.type == "equal":
                right.update(range(chunk.hyp_start_idx, chunk.hyp_end_idx))
    at, labels = 0, []
    for piece_list in pieces:
        span = range(at, at + len(piece_list))
        labels.append(all(i in right for i in span) if piece_list else None)
        at += len(piece_list)
    return labels


def transcribe(sonant, model, language, files):
    command = [sonant, "transcribe", "--format", "verbose_json", "-m", model, "-l", language, "--threads", "2"]
    for file in files:
        done = subprocess.run(command + [file], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        yield json.loads(done.stdout)


def gather(args):
    from tokenizers import Tokenizer
    normal = normalisers()
    home = os.environ.get("SONANT_HOME", os.path.expanduser("~/.cache/sonant"))
    with open(os.path.join(args.clips, "refs.tsv"), encoding="utf-8", newline="") as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]
    rows = [r for r in rows if r["transcript"].strip() and r["language"] not in ("ja", "zh")
            and os.path.exists(os.path.join(args.clips, r["file"]))]
    noises = sorted(os.path.join(args.noise, f) for f in os.listdir(args.noise) if f.endswith(".wav") and f[0] in "npm") if args.noise else []
    with open(args.out, "w", encoding="utf-8") as out, tempfile.TemporaryDirectory() as folder:
        for model in args.models.split(","):
            tokenizer = Tokenizer.from_file(os.path.join(home, "models", "whisper-" + model, "tokenizer.json"))
            for snr in args.snr.split(","):
                for r in rows:
                    if model.endswith(".en") and r["language"] != "en":
                        continue
                    file = os.path.join(folder, "clip.wav")
                    mix(os.path.join(args.clips, r["file"]), noises, None if snr == "clean" else float(snr), file)
                    reply = next(transcribe(args.sonant, model, r["language"], [file]))
                    write(out, reply, r, normal(r["language"]), tokenizer, model, snr)


def write(out, reply, row, normal, tokenizer, model, snr):
    words = [w for s in reply["segments"] for w in words_of(s, tokenizer)]
    labels = label(words, normal(row["transcript"]), normal)
    for (text, logprobs), right in zip(words, labels):
        if right is not None:
            out.write(json.dumps({"clip": row["file"], "language": row["language"], "model": model, "snr": snr, "word": text,
                                  "right": int(right), "logprobs": logprobs}, ensure_ascii=False) + "\n")


def features(w):
    """In the order of FEATURES; confidence.c computes the same."""
    return [1, np.exp(sum(w["logprobs"]) / len(w["logprobs"])), min(len(w["logprobs"]), 6)]


def solve(x, y):
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (p - y) + 1e-3 * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def brier(p, y):
    return float(np.mean((p - y) ** 2))


def table(p, y):
    print("| stated | words | mean stated | right |\n|---|---|---|---|")
    error = 0
    for i in range(10):
        inside = (p >= i / 10) & ((p < (i + 1) / 10) | (i == 9))
        if inside.sum():
            print(f"| {i / 10:.1f} to {(i + 1) / 10:.1f} | {inside.sum()} | {p[inside].mean():.3f} | {y[inside].mean():.3f} |")
            error += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    print(f"expected calibration error {error:.4f}")


def fit(args):
    words = [json.loads(line) for file in args.words for line in open(file, encoding="utf-8")]
    x, y = np.array([features(w) for w in words], float), np.array([w["right"] for w in words], float)
    fold = np.array([zlib.crc32(w["clip"].encode()) % 5 for w in words])
    left_out = np.zeros(len(y))
    for k in range(5):
        left_out[fold == k] = 1 / (1 + np.exp(-x[fold == k] @ solve(x[fold != k], y[fold != k])))
    raw = x[:, 1]
    print(f"{len(words)} words of {len({w['clip'] for w in words})} clips, {100 * y.mean():.1f} % right")
    print(f"Brier score: raw {brier(raw, y):.4f}, fitted (clips left out) {brier(left_out, y):.4f}, always the mean {brier(y.mean(), y):.4f}")
    print("raw: exp of the mean log probability")
    table(raw, y)
    print("fitted, of clips left out")
    table(left_out, y)
    for name, values in (("snr", sorted({w["snr"] for w in words})), ("language", sorted({w["language"] for w in words})),
                         ("model", sorted({w["model"] for w in words}))):
        for value in values:
            some = np.array([w[name] == value for w in words])
            print(f"{name} {value}: {some.sum()} words, stated {left_out[some].mean():.3f}, right {y[some].mean():.3f}, raw {raw[some].mean():.3f}, "
                  f"Brier {brier(left_out[some], y[some]):.4f} (raw {brier(raw[some], y[some]):.4f})")
    print("coefficients:", ", ".join(f"{n} {c:.4f}" for n, c in zip(FEATURES, solve(x, y))))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="what", required=True)
    g = sub.add_parser("gather")
    g.add_argument("clips")
    g.add_argument("out")
    g.add_argument("--noise")
    g.add_argument("--snr", default="clean,10,5,0")
    g.add_argument("--models", default="base,tiny.en")
    g.add_argument("--sonant", default="build/sonant")
    f = sub.add_parser("fit")
    f.add_argument("words", nargs="+")
    args = p.parse_args()
    gather(args) if args.what == "gather" else fit(args)


main()
