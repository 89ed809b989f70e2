"""What may be changed in the weights of a network without changing what it computes: read from `couplings.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain
from math import gcd, prod
from typing import Any

import yaml

Shape = tuple[int, ...]

KEPT = 64
"""Networks whose symmetries are remembered: a family has one shape, or few."""

MOST_HEADS = 256
LEAST_HEAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One axis of one tensor, or one of several equal parts of it.

    Attributes
    ----------
    role : str
    axis : int
        0 for the rows, 1 for the columns of the tensor seen as a matrix.
    part, parts : int
        Which of how many equal parts, side by side.
    power : int
        A rescaling of a unit by s multiplies its slice by s ** power.
    """

    role: str
    axis: int
    part: int = 0
    parts: int = 1
    power: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """Slots whose units belong together.

    Attributes
    ----------
    kind : str
        Its name in the data, the same in every layer.
    slots : tuple of Slot
        In the same order in every layer.
    candidates : tuple of int
        Possible numbers of units, ascending; more than one where the size of a head is not known.
    permutable, signed : bool
    """

    kind: str
    slots: tuple[Slot, ...]
    candidates: tuple[int, ...]
    permutable: bool = True
    signed: bool = False

    @property
    def scalable(self) -> bool:
        """Whether units may be rescaled."""
        return any(slot.power for slot in self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Where the residual stream lies, for networks in which it may be turned as a whole.

    Attributes
    ----------
    embeddings : tuple of str
        Roles whose columns lie in the stream and whose rows have an order that all models share.
    writers : tuple of str
        Roles whose rows write to the stream.
    """

    embeddings: tuple[str, ...]
    writers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetries:
    """All that is known of one network.

    Attributes
    ----------
    couplings : tuple of Coupling
        Units that may be permuted, perhaps rescaled; in an order in which they can be aligned.
    norms : tuple of Coupling
        The scale of a norm (power 1) against the maps behind it (power -1).
    rotation : Rotation or None
    """

    couplings: tuple[Coupling, ...] = ()
    norms: tuple[Coupling, ...] = ()
    rotation: Rotation | None = None

    @property
    def all(self) -> tuple[Coupling, ...]:
        """Couplings, then norms."""
        return self.couplings + self.norms


def symmetries_of(architecture: str, shapes: Mapping[str, Shape]) -> Symmetries:
    """The symmetries of a network of known architecture, as far as its roles and shapes bear them out.

    Parameters
    ----------
    architecture : str
        As a Fingerprint names it; unknown ones have no symmetries.
    shapes : mapping of role to shape

    Examples
    --------
    >>> shapes = {"layers.0.mlp.up.weight": (64, 16), "layers.0.mlp.down.weight": (16, 64)}
    >>> [(found.kind, found.candidates) for found in symmetries_of("bert", shapes).couplings]
    [('neurons', (64,))]
    """
    return _symmetries_of(architecture, tuple(shapes.items()))


@lru_cache(maxsize=KEPT)
def _symmetries_of(architecture: str, items: tuple[tuple[str, Shape], ...]) -> Symmetries:
    shapes = dict(items)
    couplings: list[Coupling] = []
    norms: list[Coupling] = []
    rotation = None
    for entry in _entries():
        if architecture not in entry["architectures"]:
            continue
        for kind, data in entry.get("couplings", {}).items():
            couplings += _couplings(kind, data, shapes)
        for stem, maps in entry.get("norms", {}).items():
            norms += _norms(stem, maps, shapes)
        if "rotation" in entry:
            stated = entry["rotation"]
            rotation = Rotation(
                embeddings=tuple(role for role in stated["embeddings"] if role in shapes),
                writers=tuple(role for pattern in stated["writers"] for role, _ in _matching(pattern, shapes)),
            )
    return Symmetries(couplings=tuple(couplings), norms=tuple(norms), rotation=rotation)


def matrix_shape(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a tensor seen as a matrix; a vector is one row."""
    if len(shape) < 2:
        return (1, prod(shape))
    return (shape[0], prod(shape[1:]))


def taps(shape: Shape) -> int:
    """Number of columns that one input of a convolution takes; 1 for a matrix.

    Examples
    --------
    >>> taps((64, 32, 3, 3)), taps((64, 32))
    (9, 1)
    """
    return prod(shape[2:]) if len(shape) > 2 else 1


@cache
def _entries() -> Sequence[Mapping[str, Any]]:
    text = files("lineage.symmetry").joinpath("couplings.yaml").read_text(encoding="utf-8")
    loaded: Sequence[Mapping[str, Any]] = yaml.safe_load(text)
    return loaded


def _couplings(kind: str, data: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Iterable[Coupling]:
    needed, optional = data["members"], data.get("optional", {})
    first = next(iter(needed))
    for _, binding in _matching(first, shapes):
        roles = {pattern: pattern.format_map(binding) for pattern in chain(needed, optional)}
        if any(roles[pattern] not in shapes for pattern in needed):
            continue
        slots = tuple(
            slot
            for pattern, words in chain(needed.items(), optional.items())
            if roles[pattern] in shapes
            for slot in _slots(roles[pattern], words, scaled=data.get("scaled", True))
        )
        lengths = [_length(slot, shapes) for slot in slots]
        if any(length is None or length < 1 for length in lengths):
            continue
        common = gcd(*(length for length in lengths if length))
        heads = data.get("units") == "heads"
        candidates = _head_counts(common) if heads else (_first_length(slots[0], shapes),)
        if not candidates or any((length or 0) % candidates[-1] for length in lengths):
            continue
        yield Coupling(
            kind=kind,
            slots=slots,
            candidates=candidates,
            permutable=data.get("permuted", True),
            signed=data.get("signs", False),
        )


def _norms(stem: str, maps: Mapping[str, str], shapes: Mapping[str, Shape]) -> Iterable[Coupling]:
    for role, binding in _matching(f"{stem}.weight", shapes):
        width = matrix_shape(shapes[role])[1]
        slots = [Slot(role=role, axis=1, power=1)]
        bias = f"{stem}.bias".format_map(binding)
        if bias in shapes:
            slots.append(Slot(role=bias, axis=1, power=1))
        behind = [
            Slot(role=found, axis=_axis(words), power=-1)
            for pattern, words in maps.items()
            for found, bound in _matching(pattern, shapes)
            if all(bound.get(key, value) == value for key, value in binding.items())
        ]
        slots += behind
        if behind and all(_length(slot, shapes) == width for slot in slots):
            yield Coupling(kind=stem, slots=tuple(slots), candidates=(width,), permutable=False, signed=True)


def _slots(role: str, words: str | Sequence[str], *, scaled: bool) -> Iterable[Slot]:
    for text in (words,) if isinstance(words, str) else words:
        part, parts = (int(item) for item in re.findall(r"(\d+)/(\d+)", text)[0]) if "/" in text else (0, 1)
        power = {"+": 1, "-": -1}.get(text[-1], 0) if scaled else 0
        yield Slot(role=role, axis=_axis(text), part=part, parts=parts, power=power)


def _axis(words: str) -> int:
    return 0 if words.startswith("rows") else 1


def _length(slot: Slot, shapes: Mapping[str, Shape]) -> int | None:
    length = matrix_shape(shapes[slot.role])[slot.axis]
    return length // slot.parts if length % slot.parts == 0 else None


def _first_length(slot: Slot, shapes: Mapping[str, Shape]) -> int:
    return _length(slot, shapes) or 0


def _head_counts(length: int) -> tuple[int, ...]:
    divisors = [count for count in range(1, min(length, MOST_HEADS) + 1) if length % count == 0]
    return tuple(count for count in divisors if length // count >= LEAST_HEAD) or tuple(divisors)


def _matching(pattern: str, shapes: Mapping[str, Shape]) -> Iterable[tuple[str, dict[str, str]]]:
    """Roles that a pattern names, each with its numbers, in order."""
    compiled = _compiled(pattern)
    found = [(role, match.groupdict()) for role in shapes if (match := compiled.fullmatch(role))]
    return sorted(found, key=lambda item: ([int(x) if x.isdecimal() else 0 for x in item[1].values()], item[0]))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w)\}", pattern)
    text = "".join(
        f"(?P<{part}>{'[^.]+' if part == 's' else r'[0-9]+'})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    )
    return re.compile(text)
