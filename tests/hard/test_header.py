#!/usr/bin/env python3
"""The public header and the library agree: test_header.py HEADER LIBRARY TEST_ALLOC VERSION RECORD. Speaks TAP."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import abi

FLAGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]


def compiles(command, header, suffix):
    """A file that includes the header twice and calls something."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "use" + suffix)
        with open(source, "w") as file:
            file.write(f'#include "{header}"\n#include "{header}"\nint use(void);\nint use(void) {{ return *sn_version(); }}\n')
        return subprocess.run([*command, *FLAGS, source], capture_output=True, text=True).stderr


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def of_the_locale(sources):
    """Calls in the library of what reads names and numbers as the program's locale has them; base/ascii.h has what does not."""
    calls = re.compile(r"(?<![\w.>])(str(?:n?casecmp|tod|tof|told)|atof|is(?:al(?:pha|num)|space|upper|lower|punct)|to(?:lower|upper))\(")
    found = []
    for path in sorted(sources.glob("*/**/*.[ch]")):
        if path.parts[len(sources.parts)] not in ("cli", "server") and path.name != "ascii.h":
            found += [f"{path.name}: {name}" for name in calls.findall(path.read_text())]
    return found


def main(header, library, test_alloc, version, record):
    header = os.path.abspath(header)
    functions = set(abi.declarations(header)[0])
    symbols = exported(library)
    swept = set(subprocess.run([test_alloc, "--list"], check=True, capture_output=True, text=True).stdout.split())
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    soname = (re.search(r"SONAME.*\[(.*)\]", dynamic) or [None, ""])[1]
    checks = {
        "C17": compiles(["cc", "-std=c17"], header, ".c"),
        "C99": compiles(["cc", "-std=c99"], header, ".c"),
        "C++11": compiles(["c++", "-std=c++11"], header, ".cc"),
        "C++20": compiles(["c++", "-std=c++20"], header, ".cc"),
        "functions that are not exported": sorted(functions - symbols),
        "symbols that the header lacks": sorted(symbols - functions),
        "the soname": "" if soname == "libsonant.so." + (version.rpartition(".")[0] if version.startswith("0.") else version.split(".")[0]) else soname,
        "calls that follow the locale": of_the_locale(pathlib.Path(header).parents[2] / "src"),
        "functions without a sweep in test_alloc.c": sorted(functions - swept),
        "sweeps of functions that are none": sorted(swept - functions),
    }
    for i, (name, wrong) in enumerate(checks.items(), 1):
        print(f"{'not ok' if wrong else 'ok'} {i} - {name}")
        if wrong:
            print("#", wrong, file=sys.stderr)
    broken = abi.main(header, version, record)
    print(f"{'not ok' if broken else 'ok'} {len(checks) + 1} - programs compiled before still run")
    print(f"1..{len(checks) + 1}")
    return any(checks.values()) or broken


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
