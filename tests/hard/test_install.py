#!/usr/bin/env python3
"""An installation, programs that know of it by pkg-config only, and its removal: test_install.py BUILD SOURCE. Speaks TAP."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more)


class Report:
    def __init__(self):
        self.count = self.bad = 0

    def case(self, name, wrong=""):
        self.count += 1
        self.bad += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {self.count} - {name}", flush=True)
        if wrong:
            print("#", str(wrong).replace("\n", "\n# "), file=sys.stderr)


def files_below(root):
    return sorted(os.path.join(folder, name) for folder, folders, names in os.walk(root) for name in names + folders)


def flags(root, prefix, *more):
    """What pkg-config says of a tree that does not lie in its place yet."""
    config = glob.glob(f"{root}{prefix}/lib*/**/pkgconfig", recursive=True) + [f"{root}{prefix}/lib/pkgconfig"]
    env = dict(os.environ, PKG_CONFIG_PATH=config[0])
    got = run("pkg-config", f"--define-variable=prefix={root}{prefix}", *more, "sonant", env=env)
    return got.stdout.split(), got.stderr


def is_there(library):
    return os.path.isabs(run("cc", f"-print-file-name=lib{library}.so").stdout.strip())


def build_example(report, name, source, folder, root, prefix, static):
    program = os.path.join(folder, f"{name}-{'static' if static else 'shared'}")
    args, wrong = flags(root, prefix, "--cflags", "--libs", *(["--static"] if static else []))
    if static: # the archive, and all else as it comes; what only other libraries name need not be there to be linked with
        args = ["-l:libsonant.a" if arg == "-lsonant" else arg for arg in args if arg[:2] != "-l" or arg == "-lsonant" or is_there(arg[2:])]
    made = run("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", program, f"{source}/examples/{name}.c", *args)
    report.case(f"{name} compiled, {'static' if static else 'shared'}", wrong or made.stderr)
    return program


def run_example(report, name, program, library, source, folder, root, prefix):
    env = dict(os.environ, LD_LIBRARY_PATH=library, SONANT_HELPERS=f"{root}{prefix}/libexec/sonant", SONANT_HOME=folder + "/home")
    tiny = f"{source}/tests/fixtures/tiny"
    arguments = [f"{source}/tests/audio/jfk_2s.m4a", f"{tiny}/whisper"]
    ran = run(program, *arguments, env=env, timeout=60)
    report.case(f"{name} runs", "" if ran.returncode == 0 and ran.stdout else ran.stdout + ran.stderr)


def main(build, source):
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        root = folder + "/root"
        installed = run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root)
        report.case("install", installed.stderr if installed.returncode else "")
        options = json.loads(run("meson", "introspect", build, "--buildoptions").stdout)
        prefix = next(o["value"] for o in options if o["name"] == "prefix")
        for what in ("bin/sonant", "include/sonant/sonant.h", "libexec/sonant/sonant-decode", "libexec/sonant/sonant-phonemize", "libexec/sonant/sonant-pull",
                     "share/man/man1/sonant.1", "share/man/man1/sonant-serve-keys.1", "share/bash-completion/completions/sonant",
                     "share/zsh/site-functions/_sonant", "share/fish/vendor_completions.d/sonant.fish"):
            report.case(what, "" if os.path.isfile(f"{root}{prefix}/{what}") else files_below(root))
        library = os.path.dirname(next(iter(glob.glob(f"{root}{prefix}/lib*/**/libsonant.so", recursive=True)), ""))
        report.case("libsonant.so", "" if library else files_below(root))
        for static in (False, True):
            program = build_example(report, "transcribe", source, folder, root, prefix, static)
            if os.path.exists(program):
                run_example(report, "transcribe", program, library, source, folder, root, prefix)
        version = run(f"{root}{prefix}/bin/sonant", "--version", env=dict(os.environ, LD_LIBRARY_PATH=library))
        report.case("the program runs from there", version.stderr if version.returncode else "")
        kept = f"{root}{prefix}/share/kept"
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        open(kept, "w").close()
        removed = run(sys.executable, f"{source}/scripts/uninstall.py", build, root)
        left = [name for name in files_below(root) if os.path.isfile(name) and name != kept or os.path.basename(name) == "sonant"]
        report.case("uninstall leaves nothing", removed.stderr if removed.returncode else left)
        report.case("and nothing of others is gone", "" if os.path.exists(kept) else "a file that was not installed is gone")
        shutil.rmtree(root)
    print(f"1..{report.count}")
    return report.bad > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
