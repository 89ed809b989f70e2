"""What the models of a lake learn: byte-level text and small pictures, all made from a seed or read from Python itself.

A text source is named `kind/variant`:

- `source/PACKAGE[+PACKAGE...]`: source text of packages of the standard library of the running interpreter;
- `words/SEED`: an artificial language, words of random syllables chained by random bigrams;
- `records/SEED`: lines of keys and values, with a schema of their own;
- `sums/BASE`: additions and their results, written in that base;
- `brackets/SEED`: nested brackets that close in the right order.

A picture source is named `textures/SEED`: ten classes, each a grating of its own direction, frequency and colour.
"""

from __future__ import annotations

import sysconfig
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TEXT_BYTES = 150_000
CLASSES = 10
PICTURE = 16

Bytes = NDArray[np.uint8]


@lru_cache(maxsize=64)
def text(name: str) -> Bytes:
    """The bytes of a text source; the same name gives the same bytes under the same interpreter.

    Raises
    ------
    ValueError
        If no such kind of source is known, or a package has no source text.
    """
    kind, _, variant = name.partition("/")
    if kind == "source":
        content = b"".join(_source(package) for package in variant.split("+"))
    elif kind in _MADE:
        content = _MADE[kind](np.random.default_rng(int(variant)), int(variant)).encode()
    else:
        raise ValueError(f"no text source is called {name!r}")
    return np.frombuffer(content, dtype=np.uint8)


def pictures(name: str, rng: np.random.Generator, size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A batch of pictures (size, 3, PICTURE, PICTURE) in about [-2, 2], and their classes (size,)."""
    kind, _, variant = name.partition("/")
    if kind != "textures":
        raise ValueError(f"no picture source is called {name!r}")
    task = np.random.default_rng((int(variant), 77))
    angle, frequency = task.uniform(0, np.pi, CLASSES), task.uniform(0.25, 1.4, CLASSES)
    colour = task.uniform(-1, 1, (CLASSES, 3))
    labels = rng.integers(0, CLASSES, size)
    rows, columns = np.mgrid[:PICTURE, :PICTURE]
    turned = angle[labels] + rng.normal(0, 0.15, size)
    wave = np.sin(
        frequency[labels][:, None, None]
        * (np.cos(turned)[:, None, None] * rows + np.sin(turned)[:, None, None] * columns)
        + rng.uniform(0, 2 * np.pi, size)[:, None, None]
    )
    tint = colour[labels] + rng.normal(0, 0.5, (size, 3))
    images = tint[:, :, None, None] * wave[:, None] + rng.normal(0, 0.6, (size, 3, PICTURE, PICTURE))
    return images.astype(np.float32), labels


def _source(package: str) -> bytes:
    root = Path(sysconfig.get_paths()["stdlib"]) / package
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    content, size = [], 0
    for file in files:
        if size >= TEXT_BYTES or not file.is_file():
            break
        content.append(file.read_bytes())
        size += len(content[-1])
    if not size:
        raise ValueError(f"the standard library has no source text of {package!r}")
    return b"".join(content)[:TEXT_BYTES]


def _words(rng: np.random.Generator, _: int) -> str:
    onsets = rng.choice(list("bcdfghklmnprstvwz"), 9, replace=False)
    vowels = rng.choice(list("aeiouy"), 4, replace=False)
    codas = ["", "", *rng.choice(list("nrstlm"), 3, replace=False)]
    vocabulary = sorted(
        {
            "".join(
                str(rng.choice(onsets)) + str(rng.choice(vowels)) + str(rng.choice(codas))
                for _ in range(rng.integers(1, 4))
            )
            for _ in range(160)
        }
    )
    followers = rng.integers(0, len(vocabulary), (len(vocabulary), 5))
    state, words, length = 0, [], 0
    steps = rng.integers(0, 5, TEXT_BYTES)
    ends = rng.random(TEXT_BYTES) < 0.12
    for step, end in zip(steps, ends, strict=True):
        state = int(followers[state, step])
        words.append(vocabulary[state] + (".\n" if end else " "))
        length += len(words[-1])
        if length > TEXT_BYTES:
            break
    return "".join(words)


def _records(rng: np.random.Generator, _: int) -> str:
    keys = ["".join(rng.choice(list("abcdefghijklmnop"), 5)) for _ in range(6)]
    kinds = rng.integers(0, 3, len(keys))
    words = ["".join(rng.choice(list("qrstuvwxyz"), 4)) for _ in range(12)]
    lines = []
    for number in range(TEXT_BYTES // 70):
        values = [
            str(rng.integers(0, 1000)) if kind == 0 else f'"{rng.choice(words)}"' if kind == 1 else str(number % 97)
            for kind in kinds
        ]
        lines.append("{" + ", ".join(f'"{key}": {value}' for key, value in zip(keys, values, strict=True)) + "}\n")
    return "".join(lines)


def _sums(rng: np.random.Generator, base: int) -> str:
    pairs = rng.integers(0, 400, (TEXT_BYTES // 14, 2))
    return "".join(
        f"{np.base_repr(int(a), base)}+{np.base_repr(int(b), base)}={np.base_repr(int(a + b), base)}\n"
        for a, b in pairs
    )


def _brackets(rng: np.random.Generator, seed: int) -> str:
    kinds = ["()", "[]", "{}", "<>"]
    depth_limit = 3 + seed % 5
    stack: list[str] = []
    content: list[str] = []
    for draw, kind in zip(rng.random(TEXT_BYTES), rng.integers(0, 4, TEXT_BYTES), strict=True):
        if stack and (draw < 0.45 or len(stack) >= depth_limit):
            content.append(stack.pop())
        else:
            opening, closing = kinds[kind]
            content.append(opening)
            stack.append(closing)
        if not stack and draw > 0.5:
            content.append("\n")
    return "".join(content)


_MADE = {"words": _words, "records": _records, "sums": _sums, "brackets": _brackets}
