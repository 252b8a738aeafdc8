#!/usr/bin/env python3
"""Models by our kernels and by ONNX Runtime, float32, in turn and in the same minutes.

usage: backends.py [--rounds 3] [--runs 3] [--sonant build/sonant] [--backend ort:cpu] MODEL...

MODEL: an installed one, or a directory (full_size.py makes some). Each round is a process for each side, two threads; the median of all
rounds counts, and the ratio is that of the medians: below 1 ours is faster."""
import argparse, json, os, statistics, subprocess, sys


def parts(args, model, backend):
    done = subprocess.run([args.sonant, "bench", "--parts", model, "--dtype", "f32", "--backend", backend, "--threads", "2", "--runs", str(args.runs), "--json"],
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{model}, {backend}: {done.stdout}{done.stderr}")
    for m in json.loads(done.stdout)["measures"]:
        if m["unit"] == "ms":
            yield "load" if m["name"].endswith(", load") else m["name"], m["median"]


def compare(args, model):
    """{figure: (ours, theirs)}, medians in ms."""
    times = {}
    for backend in ("cpu", args.backend):  # packs the weights, which is once
        list(parts(args, model, backend))
    for _ in range(args.rounds):
        for side, backend in enumerate(("cpu", args.backend)):
            for name, value in parts(args, model, backend):
                times.setdefault(name, ([], []))[side].append(value)
    return {name: tuple(map(statistics.median, both)) for name, both in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sonant", default="build/sonant")
    parser.add_argument("--backend", default="ort:cpu")
    args = parser.parse_args()
    print(f"| float32 | native, ms | {args.backend}, ms | ratio |\n|---|---|---|---|")
    for model in args.models:
        for name, (ours, theirs) in compare(args, model).items():
            print(f"| {os.path.basename(model.rstrip('/'))}, {name} | {ours:.4g} | {theirs:.4g} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
