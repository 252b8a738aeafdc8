#!/usr/bin/env python3
"""Writes a file as a C array: embed.py INPUT OUTPUT NAME HEADER -> NAME_text, NAME_size."""
import sys

source, target, name, header = sys.argv[1:]
data = open(source, "rb").read()
rows = [", ".join(str(byte) for byte in data[at:at + 24]) for at in range(0, len(data), 24)]
with open(target, "w") as out:
    out.write(f'#include "{header}"\n\nconst char {name}_text[] = {{\n\t')
    out.write(",\n\t".join(rows))
    out.write(f"\n}};\nconst size_t {name}_size = sizeof {name}_text;\n")
