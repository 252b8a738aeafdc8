#!/usr/bin/env python3
"""What programs that were compiled with sonant.h rely on: its functions, sizes and offsets of its structs, values of its names.

    abi.py HEADER VERSION RECORD            compares; additions are fine, anything else needs another version
    abi.py HEADER VERSION RECORD --record   writes RECORD anew
"""
import os
import re
import subprocess
import sys
import tempfile


def declarations(path):
    """(functions with their prototypes, structs with their fields, enumerators and numbers) of the header."""
    text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
    functions = {}
    for m in re.finditer(r"SN_API\s+([^;(]*?)(\w+)(\([^;]*\));", text):
        functions[m[2]] = " ".join((m[1] + m[2] + m[3]).split())
    functions = {name: proto for name, proto in functions.items() if name.startswith("sn_")}
    structs = {}
    for m in re.finditer(r"typedef struct \w+ \{(.*?)\} (\w+);", text, re.S):
        fields = []
        for part in m[1].split(";"):
            pointer = re.search(r"\(\*(\w+)\)\(", part)
            names = [pointer[1]] if pointer else [re.sub(r"\[.*", "", name).split()[-1].lstrip("*") for name in part.split(",") if name.split()]
            fields += [name for name in names if name != "reserved"]
        structs[m[2]] = fields
    values = re.findall(r"\b(SN_[A-Z0-9_]+)\b(?=\s*(?:=|,|\}))", "".join(re.findall(r"typedef enum \w+ \{(.*?\})", text, re.S)))
    values += [code for code in re.findall(r"X\((SN_\w+), -?\d", text)]
    values += [name for name, rest in re.findall(r"#define (SN_[A-Z0-9_]+)[ \t]+(\S[^\n]*)", text) if re.fullmatch(r"[\d()<a-z_ ]+", rest)]
    return functions, structs, sorted(set(values))


def table(path):
    functions, structs, values = declarations(path)
    lines = ["#include <stddef.h>", "#include <stdio.h>", f'#include "{os.path.abspath(path)}"', "int main(void) {"]
    for struct, fields in structs.items():
        lines.append(f'printf("struct {struct} %zu\\n", sizeof({struct}));')
        lines += [f'printf("field {struct}.{field} %zu %zu\\n", offsetof({struct}, {field}), sizeof((({struct} *)0)->{field}));' for field in fields]
    lines += [f'printf("value {value} %lld\\n", (long long)({value}));' for value in values]
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
        with open(source, "w") as file:
            file.write("\n".join(lines + ["return 0;", "}", ""]))
        subprocess.run(["cc", "-o", program, source], check=True)
        out = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted([f"function {name} {proto}" for name, proto in functions.items()] + out)


def key(line):
    return " ".join(line.split(" ", 2)[:2])


def compare(old, new):
    there = {key(line): line for line in new}
    return [f"{line}: now {there.get(key(line), 'gone')}" for line in old if there.get(key(line)) != line]


def main(header, version, record, *rest):
    new = table(header)
    if rest:
        with open(record, "w") as file:
            file.write("\n".join([f"version {version}"] + new) + "\n")
        return 0
    old = open(record).read().splitlines()
    if old[0] != f"version {version}":
        print(f"{record} is of {old[0]}, the project of {version}: record it anew")
        return 1
    changes = compare(old[1:], new)
    for change in changes:
        print("changed:", change)
    if changes:
        print(f"programs compiled with {version} would break: raise the version, then record anew")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
