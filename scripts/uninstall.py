#!/usr/bin/env python3
"""Takes away what `meson install` put there: uninstall.py BUILD [DESTDIR]. Folders go when nothing is left in them."""
import glob
import json
import os
import subprocess
import sys


def main(build, destdir=""):
    listing = subprocess.run(["meson", "introspect", build, "--installed"], check=True, capture_output=True, text=True).stdout
    folders = set()
    for place in json.loads(listing).values():
        path = destdir + place
        links = [link for link in glob.glob(path.split(".so.")[0] + ".so*") if os.path.islink(link)] if ".so." in path else []
        for name in [path, *links]:
            if os.path.lexists(name):
                os.unlink(name)
                folders.add(os.path.dirname(name))
    own = lambda folder: os.path.basename(folder) == "sonant" or (destdir and folder.startswith(destdir))
    for folder in sorted(folders, key=len, reverse=True):
        while own(folder) and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
