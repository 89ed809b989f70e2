"""Java installations of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from graph_schema.errors import MissingDependencyError

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_PLACES = ("/usr/lib/jvm", "/Library/Java/JavaVirtualMachines", "/opt/java", "C:/Program Files/Java")


def find_java(minimum: int) -> Path:
    """The `java` of the lowest version that is at least `minimum`: the closest to what was tested.

    Looks at JAVA_HOME, the PATH and the usual directories.

    Raises
    ------
    MissingDependencyError
        If there is none.
    """
    fit = sorted((version, path) for path in _candidates() if (version := _version(path)) >= minimum)
    if not fit:
        raise MissingDependencyError(
            f"no Java {minimum} or later was found",
            remedy=f"install one, such as Temurin {minimum}, and set JAVA_HOME",
        )
    return fit[0][1]


def _candidates() -> Iterator[Path]:
    name = "java.exe" if os.name == "nt" else "java"
    seen = set()
    homes = [Path(home)] if (home := os.environ.get("JAVA_HOME")) else []
    for place in map(Path, _PLACES):
        if place.is_dir():
            homes += sorted(place.iterdir())
            homes += sorted(item / "Contents" / "Home" for item in place.iterdir())
    paths = [home / "bin" / name for home in homes]
    if found := shutil.which("java"):
        paths.append(Path(found))
    for path in paths:
        if path.is_file() and (real := path.resolve()) not in seen:
            seen.add(real)
            yield real


@cache
def _version(path: Path) -> int:
    try:
        shown = subprocess.run([str(path), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = _VERSION.search(shown.stderr + shown.stdout)
    return int(found[1]) if found else 0
