#!/usr/bin/env python3
"""golden must fail on a wrong expectation and on a wrong weight: test_golden_bites.py GOLDEN FIXTURE"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile


def edit(path, name, change):
    """Applies change to the bytes of one float32 or float16 tensor of a safetensors file."""
    with open(path, "r+b") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        tensor = json.loads(file.read(size))[name]
        kind = {"F32": "f", "F16": "e"}[tensor["dtype"]]
        begin, end = tensor["data_offsets"]
        file.seek(8 + size + begin)
        data = file.read(end - begin)
        values = struct.unpack(f"<{len(data) // struct.calcsize(kind)}{kind}", data)
        file.seek(8 + size + begin)
        file.write(struct.pack(f"<{len(values)}{kind}", *map(change, values)))


def zero_largest(path):
    """Zeroes the largest tensor of a file of torch.save, and those as large (one may be unused); returns its entry's name."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    largest = max((name for name, data in entries if "/data/" in name), key=lambda name: len(dict(entries)[name]))
    size = len(dict(entries)[largest])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries:
            archive.writestr(name, bytes(len(data)) if "/data/" in name and len(data) == size else data)
    return largest


def zero_middle(path):
    """Zeroes 64 kB in the middle of an .onnx file, which are weights."""
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(bytes(1 << 16))


def run(golden, fixture, *options):
    return subprocess.run([golden, *options, fixture], capture_output=True, text=True)


def bite_installed(golden, fixture):
    """A fixture of a model that is installed: its weights are changed in a copy."""
    home = os.environ.get("SONANT_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sonant")
    with open(os.path.join(fixture, "model.json")) as file:
        model = os.path.join(home, "models", json.load(file)["model"])
    if not os.path.isdir(model):
        sys.exit(77)
    largest = max((name for name in os.listdir(model) if name.endswith(".onnx")), key=lambda name: os.path.getsize(os.path.join(model, name)))
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(model, os.path.join(folder, "model"))
        zero_middle(os.path.join(copy, largest))
        result = run(golden, fixture, "--model", copy)
        if result.returncode == 0 or "FAIL" not in result.stdout:
            sys.exit(f"golden passed although {largest} was changed:\n{result.stdout}{result.stderr}")
        print(f"the middle of {largest} changed: golden failed, as it must")


def main():
    golden, fixture = sys.argv[1:]
    with open(os.path.join(fixture, "expected.safetensors"), "rb") as file:
        expected = [name for name in json.loads(file.read(struct.unpack("<Q", file.read(8))[0])) if name != "__metadata__"]
    floats = [name for name in ("encoder_out", "text_encoder_out", "encoder_out_channels_first", "waveform", "novoice_waveform", "enhanced",
                          "jfk_window0_p808_mel", "logits") if name in expected]
    scaled = floats[0] if floats else sys.exit(f"{fixture} has no tensor to scale")
    changes = [("expected.safetensors", lambda path: edit(path, scaled, lambda value: value * 1.01) or scaled)]
    if os.path.exists(os.path.join(fixture, "model.json")):
        bite_installed(golden, fixture)
    elif os.path.exists(os.path.join(fixture, "model.safetensors")):
        with open(os.path.join(fixture, "model.safetensors"), "rb") as file:
            weights = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        zeroed = next(name for name in sorted(weights) if name.endswith(("fc1.weight", "k_proj.weight", "intermediate.dense.weight")))
        changes.append(("model.safetensors", lambda path: edit(path, zeroed, lambda value: 0.0) or zeroed))
    else:
        saved = next(name for name in sorted(os.listdir(fixture)) if name.endswith((".bin", ".pth")))
        changes.append((saved, zero_largest))
    for file, change in changes:
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "fixture")
            shutil.copytree(fixture, copy)
            name = change(os.path.join(copy, file))
            result = run(golden, copy)
            if result.returncode == 0 or "FAIL" not in result.stdout:
                sys.exit(f"golden passed although {name} of {file} was changed:\n{result.stdout}{result.stderr}")
            print(f"{name} of {file} changed: golden failed, as it must")
    result = run(golden, fixture)
    if result.returncode != 0:
        sys.exit(f"golden failed on the untouched fixture:\n{result.stdout}{result.stderr}")


main()
