#!/usr/bin/env python3
"""Whisper of every published size, made of random numbers, loaded and measured: speed, memory, and whether it says what it must.

usage: whisper_sizes.py [SIZE...] [--out DIR] [--store f16|bf16|f32] [--shards N] [--dtype int8,bf16] [--keep] [--only-make] [--sonant PROGRAM]

SIZE: tiny base small medium large-v1 large-v3 large-v3-turbo (default: tiny to large-v3-turbo but large-v1). Shapes, tensor names, types
and files are those of the published checkpoints. The tables of positions are not random: they make the decoder say SAYS tokens and
stop, whatever it hears, in any precision, greedy or with beams; so lengths are forced and texts can be compared. Each checkpoint is
deleted when it was measured. The clip is jfk.wav by a process of its own: "first" packs the weights, "second" maps them. The encoder's and the
decoder step's times are those of a loaded model; the peak is bench/peak.c's before and after. Needs nothing but Python."""
import argparse, array, json, math, os, random, re, shutil, struct, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
CLIP = os.path.join(HERE, "..", "tests", "audio", "jfk.wav")
SAYS = 28                  # tokens of text
STD = 0.02                 # of matrices and embeddings
BLOCK = (1 << 20) - 3      # random numbers that tensors repeat; a prime, so that no two rows of a tensor are alike
CERTAIN = 26               # logit of the token that is to be said; the others' sum to about 11
# width, layers of the encoder and the decoder, heads, mels, vocabulary
SIZES = {
    "tiny": (384, 4, 4, 6, 80, 51865), "base": (512, 6, 6, 8, 80, 51865), "small": (768, 12, 12, 12, 80, 51865),
    "medium": (1024, 24, 24, 16, 80, 51865), "large-v1": (1280, 32, 32, 20, 80, 51865), "large-v3": (1280, 32, 32, 20, 128, 51866),
    "large-v3-turbo": (1280, 32, 4, 20, 128, 51866),
}
# alignment heads as (layer, head), of the published generation_config.json
ALIGNMENT = {
    "tiny": [[2, 2], [3, 0], [3, 2], [3, 3], [3, 4], [3, 5]], "base": [[3, 1], [4, 2], [4, 3], [4, 7], [5, 1], [5, 2], [5, 4], [5, 6]],
    "small": [[5, 3], [5, 9], [8, 0], [8, 4], [8, 7], [8, 8], [9, 0], [9, 7], [9, 9], [10, 5]],
    "medium": [[13, 15], [15, 4], [15, 15], [16, 1], [20, 0], [23, 4]],
    "large-v1": [[9, 19], [11, 2], [11, 4], [11, 17], [22, 7], [22, 11], [22, 17], [23, 2], [23, 15]],
    "large-v3": [[7, 0], [10, 17], [12, 18], [13, 12], [16, 1], [17, 14], [19, 11], [21, 4], [24, 1], [25, 6]],
    "large-v3-turbo": [[2, 4], [2, 11], [3, 3], [3, 6], [3, 11], [3, 14]],
}
EMBEDDING = "model.decoder.embed_tokens.weight"
LANGUAGES = ("en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk te fa "
             "lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn "
             "mt sa lb my bo tl mg as tt haw ln ha ba jw su yue").split()


# ---- the vocabulary: 256 bytes, pairs of letters, these behind a space, and words of four letters ----

def vocabulary():
    pairs = [a + b for a in "etaoinshrdlcumwfgypbvkjxqz" for b in "etaoinshrdlcumwfgypbvkjxqz"]
    spelled = [chr(c) for c in (*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100))]
    spelled += [chr(0x100 + i) for i in range(256 - len(spelled))]
    tokens, merges = spelled + pairs, [f"{p[0]} {p[1]}" for p in pairs]
    tokens += ["\u0120" + p for p in pairs]
    merges += [f"\u0120 {p}" for p in pairs]
    for i in range(50257 - len(tokens)):
        first, second = pairs[i // len(pairs)], pairs[i % len(pairs)]
        tokens.append("\u0120" + first + second)
        merges.append(f"\u0120{first} {second}")
    return {t: i for i, t in enumerate(tokens)}, merges


def specials(vocab):
    names = ["<|endoftext|>", "<|startoftranscript|>"] + [f"<|{code}|>" for code in LANGUAGES[:vocab - 51766]]
    names += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    names += [f"<|{i * 0.02:.2f}|>" for i in range(1501)]
    return {name: 50257 + i for i, name in enumerate(names)}


def says(vocab):
    """The ids that the decoder writes behind its three first ones: times at both ends, text between them, and the end from then on."""
    special = specials(vocab)
    return [special["<|0.00|>"]] + [5000 + 97 * i for i in range(SAYS)] + [special["<|10.00|>"], special["<|endoftext|>"]]


# ---- tensors, in the order of the file: (name, shape) ----

def tensors(size):
    d, encoder, decoder, heads, mels, vocab = SIZES[size]
    out = []

    def linear(name, rows, columns, bias=True):
        out.append((name + ".weight", (rows, columns)))
        if bias:
            out.append((name + ".bias", (rows,)))

    def norm(name):
        out.extend([(name + ".weight", (d,)), (name + ".bias", (d,))])

    def attention(name):
        for part in "kvq":
            linear(f"{name}.{part}_proj", d, d, part != "k")
        linear(name + ".out_proj", d, d)

    def layers(side, count):
        for i in range(count):
            at = f"model.{side}.layers.{i}."
            attention(at + "self_attn")
            norm(at + "self_attn_layer_norm")
            if side == "decoder":
                attention(at + "encoder_attn")
                norm(at + "encoder_attn_layer_norm")
            linear(at + "fc1", 4 * d, d)
            linear(at + "fc2", d, 4 * d)
            norm(at + "final_layer_norm")
        norm(f"model.{side}.layer_norm")

    out += [("model.encoder.conv1.weight", (d, mels, 3)), ("model.encoder.conv1.bias", (d,)), ("model.encoder.conv2.weight", (d, d, 3)),
            ("model.encoder.conv2.bias", (d,)), ("model.encoder.embed_positions.weight", (1500, d))]
    layers("encoder", encoder)
    out += [(EMBEDDING, (vocab, d)), ("model.decoder.embed_positions.weight", (448, d))]
    layers("decoder", decoder)
    return out


def parameters(size):
    return sum(math.prod(shape) for _, shape in tensors(size))


class Numbers:
    """Random numbers in the file's type. A tensor takes them from a place that its name gives."""
    def __init__(self, store):
        draw = random.Random(1).gauss
        self.values = [draw(0, STD) for _ in range(BLOCK)]
        self.width, self.store = {"f16": 2, "bf16": 2, "f32": 4}[store], store
        self.block = self.encode(self.values)

    def scaled(self, factor):
        other = object.__new__(Numbers)
        other.width, other.store, other.values = self.width, self.store, [v * factor for v in self.values]
        other.block = self.encode(other.values)
        return other

    def encode(self, values):
        if self.store == "f16":
            return struct.pack(f"<{len(values)}e", *values)
        whole = array.array("f", values).tobytes()
        return whole if self.store == "f32" else b"".join(whole[i + 2:i + 4] for i in range(0, len(whole), 4))

    @staticmethod
    def place(name):
        return sum(ord(c) * (i + 1) * 7919 for i, c in enumerate(name)) % BLOCK

    def row(self, name, row, width):
        at = self.place(name) + row * width
        return [self.values[(at + i) % BLOCK] for i in range(width)]

    def write(self, out, name, count):
        at = self.place(name)
        while count:
            part = min(count, BLOCK - at)
            out.write(memoryview(self.block)[at * self.width:(at + part) * self.width])
            count, at = count - part, 0


def write_tensor(out, numbers, size, name, shape):
    d, vocab = SIZES[size][0], SIZES[size][5]
    if name == EMBEDDING:
        numbers.scaled(CERTAIN / d / STD).write(out, name, math.prod(shape))
    elif name.endswith("decoder.embed_positions.weight"):
        wanted = [50258] * 2 + says(vocab)
        for row in range(shape[0]):
            token = wanted[min(row, len(wanted) - 1)]
            out.write(numbers.encode([v * 3 / STD for v in numbers.row(EMBEDDING, token, d)]))
    elif "layer_norm" in name:
        out.write(numbers.encode([1.0 if name.endswith("weight") else 0.0] * d))
    else:
        numbers.write(out, name, math.prod(shape))


def write_file(path, numbers, size, chosen):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in chosen:
        end = at + math.prod(shape) * numbers.width
        header[name] = {"dtype": numbers.store.upper(), "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, shape in chosen:
            write_tensor(out, numbers, size, name, shape)
    return at


def write_json(directory, name, value):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
        json.dump(value, f)


def write_settings(directory, size):
    d, encoder, decoder, heads, mels, vocab = SIZES[size]
    special = specials(vocab)
    write_json(directory, "config.json", dict(
        model_type="whisper", architectures=["WhisperForConditionalGeneration"], d_model=d, encoder_layers=encoder, decoder_layers=decoder,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * d, decoder_ffn_dim=4 * d, num_mel_bins=mels,
        vocab_size=vocab, max_source_positions=1500, max_target_positions=448, activation_function="gelu"))
    write_json(directory, "generation_config.json", dict(
        alignment_heads=ALIGNMENT[size], is_multilingual=True, max_initial_timestamp_index=50, begin_suppress_tokens=[220, 50257],
        lang_to_id={name: i for name, i in special.items() if re.fullmatch(r"<\|[a-z]{2,3}\|>", name)}))
    write_json(directory, "preprocessor_config.json", dict(feature_size=mels, sampling_rate=16000, hop_length=160, n_fft=400, n_samples=480000))
    words, merges = vocabulary()
    write_json(directory, "vocab.json", words)
    write_json(directory, "added_tokens.json", special)
    with open(os.path.join(directory, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(merges) + "\n")


def make(size, out, store="f16", shards=1):
    """The directory of the checkpoint, made when it is not there."""
    directory = os.path.join(out, f"whisper-{size}" + ("" if store == "f16" else "-" + store) + (f"-{shards}" if shards > 1 else ""))
    if os.path.isdir(directory):
        return directory
    part = directory + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    write_settings(part, size)
    numbers, all_of_them = Numbers(store), tensors(size)
    if shards == 1:
        write_file(os.path.join(part, "model.safetensors"), numbers, size, all_of_them)
    else:
        each, total, where = -(-len(all_of_them) // shards), 0, {}
        for i in range(shards):
            name = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
            chosen = all_of_them[i * each:(i + 1) * each]
            total += write_file(os.path.join(part, name), numbers, size, chosen)
            where.update({tensor: name for tensor, _ in chosen})
        write_json(part, "model.safetensors.index.json", dict(metadata=dict(total_size=total), weight_map=where))
    os.rename(part, directory)
    return directory


# ---- measuring ----

def run(command, env):
    """(seconds, standard output, standard error) of a command, which must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)}: {err}")
    return seconds, out, err


def peak_of(command, env):
    """(seconds, peak MB, standard output), the peak as the kernel counted it: mapped files too."""
    code = ("import resource, subprocess, sys; r = subprocess.run(sys.argv[1:]).returncode; "
            "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000, file=sys.stderr); sys.exit(r)")
    seconds, out, err = run([sys.executable, "-c", code, *command], env)
    return seconds, float(err.split("peak")[-1]), out


def peaks(folder):
    """What two cores can do in these minutes (bench/peak.c), or {} where the processor lacks it or there is no compiler."""
    program = os.path.join(folder, "peak")
    try:
        subprocess.run(["cc", "-O2", "-pthread", os.path.join(HERE, "peak.c"), "-o", program], check=True, capture_output=True)
        return json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        return {}


def measure(args, size, dtype, directory):
    home = os.path.join(args.out, "home")
    env = dict(os.environ, SONANT_HOME=home)
    shutil.rmtree(home, ignore_errors=True)
    say = [args.sonant, "transcribe", CLIP, "-m", directory, "--dtype", dtype, "-l", "en", "--vad", "off", "--beam", "1", "--guards", "off"]
    first_seconds, first_peak, text = peak_of(say, env)
    second_seconds, second_peak, again = peak_of(say, env)
    if len(text.split()) != SAYS or text != again:
        sys.exit(f"{size} {dtype} said {text!r} and {again!r}: {SAYS} words were to be said")
    before = peaks(args.out)
    _, out, _ = run([args.sonant, "bench", "-m", directory, "--dtype", dtype, "--no-tts", "-n", str(args.runs), "-f", "json"], env)
    figures = {(m["name"].split(", ")[-1], m["unit"]): m["median"] for m in json.loads(out)["measures"]}
    shutil.rmtree(home, ignore_errors=True)
    key = {"int8": "int8_gops_2", "bf16": "bf16_gflops_2", "f32": "f32_gflops_2"}[dtype]
    top = max(before.get(key, 0), peaks(args.out).get(key, 0))
    rate = figures["one window", "Gflop/s"]
    bound = {"int8": 1.25, "bf16": 2.2, "f32": 4.4}[dtype] * parameters(size) / 1e6 + 100
    return dict(size=size, dtype=dtype, parameters=parameters(size), first_s=first_seconds, second_s=second_seconds, load_ms=figures["load", "ms"],
                encoder_ms=figures["one window", "ms"], gflops=rate, share=rate / top if top else 0, step_ms=figures["decoder step", "ms"],
                first_mb=first_peak, mb=second_peak, bound_mb=bound)


HEAD = ("size", "dtype", "params", "load", "encoder", "Gflop/s", "of peak", "step", "11 s clip: first", "second", "MB: first", "second", "bound")


def row(m):
    return (m["size"], m["dtype"], f"{m['parameters'] / 1e6:.0f} M", f"{m['load_ms']:.0f} ms", f"{m['encoder_ms']:.0f} ms", f"{m['gflops']:.0f}",
            f"{100 * m['share']:.0f} %", f"{m['step_ms']:.1f} ms", f"{m['first_s']:.2f} s", f"{m['second_s']:.2f} s", f"{m['first_mb']:.0f}",
            f"{m['mb']:.0f}", f"{m['bound_mb']:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", nargs="*", default=[s for s in SIZES if s != "large-v1"])
    parser.add_argument("--out", default="full-size")
    parser.add_argument("--store", choices=("f16", "bf16", "f32"), default="f16")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--dtype", default="int8,bf16")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--only-make", action="store_true")
    parser.add_argument("--sonant", default=os.path.join(HERE, "..", "build", "sonant"))
    args = parser.parse_args()
    unknown = [s for s in args.size if s not in SIZES]
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}; sizes: {' '.join(SIZES)}")
    if not args.only_make:
        print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for size in args.size:
        directory = make(size, args.out, args.store, args.shards)
        if args.only_make:
            print(directory)
            continue
        for dtype in args.dtype.split(","):
            print("| " + " | ".join(row(measure(args, size, dtype, directory))) + " |", flush=True)
        if not args.keep:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
