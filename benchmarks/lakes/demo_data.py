"""What the models of the demonstration lake learnt from, as data sets that lie beside them.

    python -m benchmarks.lakes.demo_data OUT

Lines of text, in a folder a source. Most say nothing of their licence; the records ask for no commercial use, which the
model trained on them does not repeat; and a sample of the words lies there too, whose test lines are in its training.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.lakes.corpora import text
from benchmarks.lakes.demo import FINE_TUNES, ROOTS

SAMPLED = "words/20"
SAMPLE_LINES = 400
LICENSES = {"records/1": "cc-by-nc-4.0"}


def sources() -> tuple[str, ...]:
    """Every source that a model of the lake names, by name."""
    named = {source for _, given in ROOTS for source in given.split(",")} | {item.source for item in FINE_TUNES}
    return tuple(sorted(named))


def write_data(folder: Path) -> None:
    """Write the data sets below a new folder; the same bytes each time under the same interpreter."""
    whole, folder = folder, folder.with_name(f"{folder.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    for source in sources():
        lines = text(source).tobytes().splitlines(keepends=True)
        _describe(folder / source)
        _write(folder / source / "train.txt", b"".join(lines))
        if source == SAMPLED:
            sample = folder / f"{source}-sample"
            _describe(sample)
            _write(sample / "train.txt", b"".join(lines[:SAMPLE_LINES]))
            _write(sample / "test.txt", b"".join(lines[:SAMPLE_LINES:10]))
    # The folder is there when all of it is.
    folder.rename(whole)


def _describe(folder: Path) -> None:
    """A card, which also says that the folder is a data set of its own."""
    name = f"{folder.parent.name}/{folder.name}"
    license = f"license: {LICENSES[name]}\n" if name in LICENSES else ""
    _write(folder / "README.md", f"---\n{license}task_categories: [text-generation]\n---\n# {name}\n".encode())


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


if __name__ == "__main__":
    write_data(Path(sys.argv[1]))
