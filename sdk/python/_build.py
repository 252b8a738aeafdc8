"""The build backend of this folder: meson-python, run where Meson project and metadata are, at the root of the repository."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = ("pyproject.toml", "meson.build", "include/sonant/sonant.h", "sdk/python/meson.build")

Settings = dict[str, Any] | None


@contextlib.contextmanager
def _at_root() -> Iterator[Any]:
    """meson-python builds what lies in the current folder; a `build-dir` of the settings is below it, too."""
    missing = [name for name in NEEDED if not (ROOT / name).is_file()]
    if missing:
        raise SystemExit(
            f"sonant: this is built from the sources of the whole project, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not in {ROOT}; install from a checkout of it: pip install CHECKOUT/sdk/python"
        )
    import mesonpy

    before = pathlib.Path.cwd()
    os.chdir(ROOT)
    try:
        yield mesonpy
    finally:
        os.chdir(before)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    with _at_root() as backend:
        return list(backend.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    with _at_root() as backend:
        return list(backend.get_requires_for_build_editable(config_settings))


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    with _at_root() as backend:
        return list(backend.get_requires_for_build_sdist(config_settings))


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    out = os.path.abspath(wheel_directory)
    with _at_root() as backend:
        return str(backend.build_wheel(out, config_settings, metadata_directory))


def build_editable(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    out = os.path.abspath(wheel_directory)
    with _at_root() as backend:
        return str(backend.build_editable(out, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    out = os.path.abspath(sdist_directory)
    with _at_root() as backend:
        return str(backend.build_sdist(out, config_settings))
