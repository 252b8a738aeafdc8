#!/usr/bin/env python3
"""Every model beside its reference in PyTorch float32, on full-size checkpoints of random weights, in turn and in the same minutes.
jik876's HiFi-GAN is measured against Coqui's words of the same network.

usage: models.py [--only NAME,...] [--rounds 3] [--out DIR] [--sonant build/sonant]

Both sides get 2 threads, flush denormals, and the same work: 3.2 s of speech, or 11 s of audio to read letters of. Ours is measured by
`sonant bench --parts`, in bfloat16 and in float32. A model whose reference is not installed is named and left out. Memory is the peak
of the whole process."""
import argparse, json, os, resource, statistics, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import full_size

SECONDS, CLIP = 3.2, 11
TEXT = "The quick brown fox jumps over the lazy dog by the old bridge"  # 61 characters, as sonant bench --parts has it


# ---- the references: each returns {figure: function} ----

def speecht5(t, directory, out):
    import transformers as T
    model = T.SpeechT5ForTextToSpeech.from_pretrained(directory).eval()
    vocoder = T.SpeechT5HifiGan.from_pretrained(full_size.make("speecht5_hifigan", out)).eval()
    ids, voice = t.randint(4, 80, (1, 62)), t.randn(1, 512)
    frames = int(SECONDS * 16000 / 256)
    ratio = frames / 62 + 1e-6  # steps = length * ratio / reduction factor
    speak = lambda: model.generate_speech(ids, voice, threshold=9.0, minlenratio=0.0, maxlenratio=ratio)
    return {"spectrogram": speak, "vocoder": lambda: vocoder(t.randn(frames, 80)), "speech": lambda: vocoder(speak())}


def fastspeech2(t, directory, out):
    import transformers as T
    model = T.FastSpeech2ConformerModel.from_pretrained(directory).eval()
    vocoder = T.FastSpeech2ConformerHifiGan.from_pretrained(full_size.make("fastspeech2_conformer_hifigan", out)).eval()
    frames, ids = int(SECONDS * 22050 / 256), t.randint(2, 47, (1, 50))
    each = t.tensor([[frames // 50 + (i < frames % 50) for i in range(50)]])
    model.duration_predictor.forward = lambda x: each.clone()
    speak = lambda: model(ids, return_dict=True).spectrogram
    return {"spectrogram": speak, "vocoder": lambda: vocoder(t.randn(1, frames, 80)), "speech": lambda: vocoder(speak())}


def vits(t, directory, out):
    import transformers as T
    model = T.VitsModel.from_pretrained(directory).eval()
    frames, ids = int(SECONDS * 16000 / 256), t.randint(1, 37, (1, 123))
    share = float(t.log(t.tensor(frames / 123)))
    model.duration_predictor.forward = lambda x, mask, *a, **k: t.full((1, 1, x.shape[-1]), share - 0.2)
    return {"speech": lambda: model(ids).waveform}


def vocoder(cls):
    def build(t, directory, out):
        import transformers as T
        model = getattr(T, cls).from_pretrained(directory).eval()
        rate, hop = model.config.sampling_rate, 1
        for r in model.config.upsample_rates:
            hop *= r
        return {"vocoder": lambda: model(t.randn(int(SECONDS * rate / hop), 80))}
    return build


def wav2vec2(t, directory, out):
    import transformers as T
    model = T.Wav2Vec2ForCTC.from_pretrained(directory).eval()
    return {"letters": lambda: model(t.randn(1, CLIP * 16000)).logits}


def bark(t, directory, out):
    import transformers as T
    model = T.BarkModel.from_pretrained(directory).eval()
    g = T.models.bark.generation_configuration_bark
    tokens = int(SECONDS * 49.9)
    semantic = g.BarkSemanticGenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, eos_token_id=10000)
    coarse, fine = g.BarkCoarseGenerationConfig(do_sample=False), g.BarkFineGenerationConfig(temperature=1.0)
    ids = t.randint(5, 100, (1, 256))

    def speak():
        with t.no_grad():
            s = model.semantic.generate(ids, semantic_generation_config=semantic)
            c = model.coarse_acoustics.generate(s, semantic_generation_config=semantic, coarse_generation_config=coarse, codebook_size=1024)
            f = model.fine_acoustics.generate(c, semantic_generation_config=semantic, coarse_generation_config=coarse,
                                              fine_generation_config=fine, codebook_size=1024)
            return model.codec_decode(f)
    return {"speech": speak}


def tacotron2(t, directory, out):
    from tacotron2_model import Tacotron2
    model = Tacotron2().eval()
    model.load_state_dict(t.load(os.path.join(directory, "tacotron2_statedict.pt"))["state_dict"])
    frames = int(SECONDS * 22050 / 256)
    model.decoder.gate_threshold, model.decoder.max_decoder_steps = 2.0, frames
    ids = t.randint(11, 64, (1, 61))
    vocoder = coqui("hifigan_generator", "HifiganGenerator")(t, directory, out)["vocoder"]  # jik876's network, in Coqui's words
    return {"spectrogram": lambda: model.inference(ids), "vocoder": vocoder, "speech": lambda: (model.inference(ids), vocoder())}


def waveglow(t, directory, out):
    from waveglow.glow import WaveGlow
    t.qr, t.cuda.FloatTensor = t.linalg.qr, t.FloatTensor  # the reference calls a name that torch has dropped, and wants a GPU
    saved = t.load(os.path.join(directory, "waveglow_statedict.pt"))
    model = WaveGlow(**saved["config"]).eval()
    model.load_state_dict(saved["state_dict"])
    model = WaveGlow.remove_weightnorm(model)
    return {"vocoder": lambda: model.infer(t.randn(1, 80, int(SECONDS * 22050 / 256)), sigma=0.6)}


def coqui(module, cls):
    def build(t, directory, out):
        import importlib
        net = getattr(importlib.import_module("TTS.vocoder.models." + module), cls)
        if cls == "HifiganGenerator":
            model = net(**full_size.HIFIGAN)
        else:
            model = net(in_channels=80, out_channels=1, proj_kernel=7, base_channels=512, upsample_factors=[8, 8, 2, 2], res_kernel=3, num_res_blocks=3)
        model.eval()
        model.remove_weight_norm()
        return {"vocoder": lambda: model.inference(t.randn(1, 80, int(SECONDS * 22050 / 256)))}
    return build


REFERENCES = {
    "wav2vec2-base-960h": wav2vec2, "wav2vec2-large-960h-lv60": wav2vec2, "speecht5_tts": speecht5, "speecht5_hifigan": vocoder("SpeechT5HifiGan"),
    "fastspeech2_conformer": fastspeech2, "fastspeech2_conformer_hifigan": vocoder("FastSpeech2ConformerHifiGan"), "vits-ljs": vits,
    "bark-small": bark, "tacotron2": tacotron2, "waveglow": waveglow, "hifigan-coqui": coqui("hifigan_generator", "HifiganGenerator"),
    "hifigan-jik876": coqui("hifigan_generator", "HifiganGenerator"), "melgan-coqui": coqui("melgan_generator", "MelganGenerator"),
}
ALWAYS = {"speecht5_tts": ["speecht5_hifigan"], "fastspeech2_conformer": ["fastspeech2_conformer_hifigan"], "tacotron2": ["tacotron2-hifigan"]}


def reference(name, out, runs):
    """In a process of its own: prints {figure: [seconds]} and the process's peak."""
    import torch as t
    t.set_num_threads(2)
    t.set_flush_denormal(True)
    with t.inference_mode():
        figures = {}
        for figure, run in REFERENCES[name](t, os.path.join(out, name), out).items():
            if runs > 1:
                run()
            times = []
            for _ in range(runs):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
            figures[figure] = times
    print(json.dumps({"figures": figures, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


# ---- ours ----

def figure_of(name):
    for start, figure in (("spectrogram", "spectrogram"), ("vocoder", "vocoder"), ("first audio", "first audio"), ("letters", "letters")):
        if name.startswith(start):
            return figure
    return "speech" if "of speech" in name else None


def measured(command):
    """The process's JSON on its last line, and its own peak in MB; None when it fails."""
    wrapped = [sys.executable, "-c", "import resource,subprocess,sys; p=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE); sys.stdout.buffer.write(p.stdout);"
               "print(); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024); sys.exit(p.returncode)"] + command
    done = subprocess.run(wrapped, capture_output=True, text=True)
    if done.returncode:
        print(f"  ({' '.join(command[:4])}: {(done.stderr.strip().splitlines() or ['failed'])[-1]})", file=sys.stderr)
        return None
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return json.loads(lines[-2]), float(lines[-1])


def ours(args, name, dtype, runs):
    got = measured([args.sonant, "bench", "--parts", os.path.join(args.out, name), "--runs", str(runs), "--dtype", dtype, "--threads", "2",
                    "--format", "json"])
    if not got:
        return None
    figures = {figure_of(m["name"]): m["median"] / 1e3 for m in got[0]["measures"] if figure_of(m["name"])}
    return figures, got[1]


def theirs(args, name, runs):
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--reference", name, "--out", args.out, "--rounds", str(runs)],
                          capture_output=True, text=True)
    if done.returncode:
        print(f"  ({name}: {(done.stderr.strip().splitlines() or ['no reference'])[-1]})", file=sys.stderr)
        return None
    got = json.loads(done.stdout.strip().splitlines()[-1])
    return {k: statistics.median(v) for k, v in got["figures"].items()}, got["mb"]


def row(cells, widths):
    print("| " + " | ".join(str(c).ljust(w) for c, w in zip(cells, widths)) + " |", flush=True)


def milliseconds(x):
    return "-" if x is None else f"{x * 1e3:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default="build/full-size")
    parser.add_argument("--sonant", default="build/sonant")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args.reference, args.out, args.rounds)
    os.makedirs(args.out, exist_ok=True)
    names = args.only.split(",") if args.only else list(REFERENCES)
    widths = (26, 12, 9, 9, 9, 7, 7, 7, 8, 5)
    row(("model", "what", "torch ms", "bf16 ms", "f32 ms", "bf16 x", "f32 x", "MB", "torch MB", "MB x"), widths)
    row(["-" * w for w in widths], widths)
    for name in names:
        try:
            for each in [name] + ALWAYS.get(name, []):
                full_size.make(each, args.out)
        except Exception as e:  # whatever another package raises, the other models are measured
            print(f"  ({name}: cannot be made: {' '.join(str(e).split())[:160]})", file=sys.stderr)
            continue
        slow = name.startswith("bark")
        rounds = 1 if slow else args.rounds
        ours(args, name, "bf16", 1), ours(args, name, "f32", 1)  # packs the weights, which costs memory once
        sides = {"bf16": [], "torch": [], "f32": []}
        for _ in range(1 if slow else 2):  # in turn
            sides["bf16"].append(ours(args, name, "bf16", rounds))
            sides["torch"].append(theirs(args, name, rounds))
            sides["f32"].append(ours(args, name, "f32", rounds))
        best = {side: [g for g in got if g] for side, got in sides.items()}
        figures = best["bf16"][0][0] if best["bf16"] else {}
        for figure in figures:
            value = {side: min((g[0][figure] for g in got if figure in g[0]), default=None) for side, got in best.items()}
            mb = {side: min((g[1] for g in got), default=None) for side, got in best.items()}
            ratio = lambda side: f"{value[side] / value['torch']:.2f}" if value[side] and value["torch"] else "-"
            last = figure == list(figures)[-1]
            row((name, figure, milliseconds(value["torch"]), milliseconds(value["bf16"]), milliseconds(value["f32"]), ratio("bf16"), ratio("f32"),
                 f"{mb['bf16']:.0f}" if last and mb["bf16"] else "", f"{mb['torch']:.0f}" if last and mb["torch"] else "",
                 f"{mb['bf16'] / mb['torch']:.2f}" if last and mb["bf16"] and mb["torch"] else ""), widths)


if __name__ == "__main__":
    main()
