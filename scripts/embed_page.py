#!/usr/bin/env python3
"""Writes the files of the page as a C table: embed_page.py OUTPUT FILE... (the first is the document itself)."""
import hashlib
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
target, *sources = sys.argv[1:]
arrays, entries = [], []
for i, source in enumerate(map(pathlib.Path, sources)):
    data = source.read_bytes()
    rows = ",\n\t".join(", ".join(map(str, data[at:at + 24])) for at in range(0, len(data), 24))
    arrays.append(f"static const unsigned char file_{i}[] = {{\n\t{rows}\n}};\n")
    tag = hashlib.sha256(data).hexdigest()[:32]
    entries.append(f'\t{{ "{source.name}", "{TYPES[source.suffix]}", "\\"{tag}\\"", file_{i}, sizeof file_{i} }},\n')
with open(target, "w") as out:
    out.write('#include "server/page.h"\n\n' + "\n".join(arrays))
    out.write("\nconst sv_page_file sv_page_files[] = {\n" + "".join(entries) + "};\n")
    out.write("const int sv_page_file_count = sizeof sv_page_files / sizeof *sv_page_files;\n")
