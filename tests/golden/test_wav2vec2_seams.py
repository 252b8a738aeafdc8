#!/usr/bin/env python3
"""Long audio is read in windows whose joins may not show: test_wav2vec2_seams.py SONANT FIXTURE

The checkpoint's attention is silenced, so that a frame depends on what is near it, and the audio repeats each second, so that every
window has the same level and the same statistics of its group norm. Then the letters must repeat as the audio does, joins or not."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

SECONDS = 82  # a window of 30 s, and two more, each 26 s later
EDGE = 4      # seconds at both ends, which hear the end of the audio and not its repetition


def silence_attention(path):
    with open(path, "r+b") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        tensors = json.loads(file.read(size))
        for name, tensor in tensors.items():
            if ".attention.out_proj." in name:
                begin, end = tensor["data_offsets"]
                file.seek(8 + size + begin)
                file.write(bytes(end - begin))


def write_audio(path):
    draw = random.Random(7)
    second = struct.pack("<16000h", *(int(6000 * draw.gauss(0, 1)) % 20000 - 10000 for _ in range(16000)))
    data = second * SECONDS
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16))
        file.write(b"data" + struct.pack("<I", len(data)) + data)


def main():
    sonant, fixture = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        copy, clip = os.path.join(folder, "model"), os.path.join(folder, "clip.wav")
        shutil.copytree(fixture, copy)
        os.chmod(os.path.join(copy, "model.safetensors"), 0o644)
        silence_attention(os.path.join(copy, "model.safetensors"))
        write_audio(clip)
        result = subprocess.run([sonant, "transcribe", "-m", copy, clip, "--dtype", "f32", "--no-cache", "-f", "verbose_json"],
                                capture_output=True, text=True, env={**os.environ, "SONANT_HOME": folder})
    if result.returncode != 0:
        sys.exit(result.stderr)
    letters = [token for segment in json.loads(result.stdout)["segments"] for token in segment["tokens"]]
    period = round(len(letters) / SECONDS)
    inner = letters[EDGE * period:-EDGE * period]
    if period < 10 or len(set(inner)) < 5:
        sys.exit(f"{period} letters a second, {len(set(inner))} different ones, are too few to tell anything by")
    for i in range(len(inner) - period):
        if inner[i] != inner[i + period]:
            sys.exit(f"about {EDGE + i / period:.2f} s: letter {inner[i]}, but {inner[i + period]} a second later")
    print(f"{period} letters repeat every second over three windows")


main()
