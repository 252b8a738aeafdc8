#!/usr/bin/env python3
"""Word errors over clips with transcripts, for sonant and, where it is installed, faster-whisper.

usage: wer.py CLIPS [--engine sonant|faster-whisper] [--model base] [--dtype auto] [--beam 5] [--vad on|off] [--english] [-v]

CLIPS: a folder with refs.tsv (columns file, language, transcript) and the clips beside it; a clip without a transcript has no
speech, and every word written for it is counted as invented. The true language is given (English where the clip has none). Text passes Whisper's normaliser (English
or basic) before words are compared. Needs: pip install jiwer whisper-normalizer (and faster-whisper for that engine, with
FASTER_WHISPER_MODEL naming its model directory)."""
import argparse, csv, json, os, subprocess, sys


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clips")
    p.add_argument("--engine", default="sonant", choices=["sonant", "faster-whisper"])
    p.add_argument("--sonant", default="build/sonant")
    p.add_argument("--model", default="base")
    p.add_argument("--dtype", default="auto")
    p.add_argument("--beam", type=int, default=5)
    p.add_argument("--vad", default="off", choices=["on", "off"])
    p.add_argument("--english", action="store_true", help="only the English clips")
    p.add_argument("--batched", action="store_true", help="faster-whisper: its batched pipeline, batch 8")
    p.add_argument("-v", action="store_true", help="print every clip with errors")
    return p.parse_args()


def read_refs(folder, english):
    with open(os.path.join(folder, "refs.tsv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [r for r in rows if os.path.exists(os.path.join(folder, r["file"]))]
    return [r for r in rows if r["language"] == "en" or not english]


def with_sonant(args, rows):
    texts = {}
    for language in sorted({r["language"] for r in rows}):
        files = [r["file"] for r in rows if r["language"] == language]
        command = [args.sonant, "transcribe", "--format", "json", "-m", args.model, "--dtype", args.dtype, "--beam", str(args.beam),
                   "-l", language.strip("-") or "en", "--threads", "2", "--vad", args.vad]
        done = subprocess.run(command + [os.path.join(args.clips, f) for f in files], capture_output=True, text=True)
        replies = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        if len(replies) != len(files):
            sys.exit(f"{len(replies)} replies for {len(files)} files: {done.stderr.strip()}")
        texts.update({f: reply["text"] for f, reply in zip(files, replies)})
    return texts


def with_faster_whisper(args, rows):
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    dtype = {"auto": "int8", "f32": "float32"}.get(args.dtype, args.dtype)
    model = WhisperModel(os.environ.get("FASTER_WHISPER_MODEL", args.model), device="cpu", compute_type=dtype, cpu_threads=2)
    run = BatchedInferencePipeline(model) if args.batched else model
    extra = {"batch_size": 8} if args.batched else {"vad_filter": args.vad == "on"}
    texts = {}
    for r in rows:
        segments, _ = run.transcribe(os.path.join(args.clips, r["file"]), language=r["language"].strip("-") or "en", beam_size=args.beam, **extra)
        texts[r["file"]] = "".join(s.text for s in segments).strip()
    return texts


def main():
    args = parse()
    import jiwer
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer
    try:
        from opencc import OpenCC
        simplified = OpenCC("t2s").convert  # the script of Chinese is no error
    except ImportError:
        simplified = str
    english, basic, letters = EnglishTextNormalizer(), BasicTextNormalizer(), BasicTextNormalizer(split_letters=True)
    rows = read_refs(args.clips, args.english)
    texts = with_sonant(args, rows) if args.engine == "sonant" else with_faster_whisper(args, rows)
    counts, invented = {}, []
    for r in rows:
        language, text = r["language"], texts[r["file"]]
        normal = english if language == "en" else letters if language in ("ja", "zh") else basic
        convert = simplified if language == "zh" else str
        expected, found = normal(convert(r["transcript"])), normal(convert(text))
        if not expected.strip():
            if found.strip():
                invented.append(r["file"])
            continue
        words = len(expected.split())
        errors = words
        if found.strip():
            o = jiwer.process_words(expected, found)
            errors = o.substitutions + o.deletions + o.insertions
        for key in (language, "all", "English" if language == "en" else "other languages"):
            c = counts.setdefault(key, [0, 0])
            c[0] += errors
            c[1] += words
        if args.v and errors:
            print(f"{r['file']} {errors}/{words}\n  expected: {expected}\n  found:    {found}")
    for key, (errors, words) in sorted(counts.items()):
        print(f"{key:16} {errors:5} of {words:6} words  {100 * errors / words:6.2f} %")
    if invented:
        print(f"words on {len(invented)} clips without speech: {', '.join(invented)}")
    else:
        print("words on 0 clips without speech")


main()
