"""From a tensor's name to its canonical role: what it is in the network, whatever a library called it.

The knowledge is in data files, `ingest/architectures/*.yaml`, one per family::

    name: gpt2
    model_types: [gpt2]                 # of config.json; a hint that decides between equal matches
    wrappers: [transformer., model.]    # prefixes that may stand before any name, in any number
    tensors:
      h.{n}.ln_1.{p}: layers.{n}.norm.attention.{p}
    derived: [h.{n}.attn.bias]          # buffers that follow from the configuration: no weights
    tied:
      head.weight: embed.token.weight   # a copy, where the container stores one

In a pattern `{n}`, `{m}`, `{d}` and `{k}` stand for a number, `{s}` for one part of a dotted name, `{p}` for a
parameter (`weight`, `bias`, `lora_A.weight`, `qweight`, ...: all the rest of the name), and `{q}` for any beginning
that ends in a dot, or none. `any.yaml` holds for every architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_KINDS = {"n": r"\d+", "m": r"\d+", "d": r"\d+", "k": r"\d+", "s": r"[^.]+", "p": r".+", "q": r"(?:.*\.)?"}
_LEAST_SHARE = 0.5
_ADAPTER_NAME = re.compile(r"\.(lora_[AB])\.[^.]+\.(weight|bias)$")
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The roles of a set of tensors.

    Attributes
    ----------
    architecture : str
        Name of the family; empty where none matched half of the names.
    roles : mapping of str to str
        Unique role by name; derived buffers are absent.
    tied : mapping of str to str
        Role of a possible copy to the role of its original.
    """

    architecture: str
    roles: Mapping[str, str]
    tied: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Architecture:
    name: str
    model_types: frozenset[str]
    wrappers: tuple[str, ...]
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    derived: tuple[re.Pattern[str], ...]
    tied: Mapping[str, str]
    numbers: frozenset[str]
    """Those that its patterns spell out as a part of a dotted name."""


def assign_roles(names: Sequence[str], *, model_type: str = "") -> Assignment:
    """Choose the architecture whose patterns match the most names, and give every tensor its role.

    Parameters
    ----------
    names : sequence of str
        Unique names of tensors, as in the file.
    model_type : str, optional
        As `config.json` says; decides only between architectures that match equally many names.

    Returns
    -------
    Assignment
        A name that the architecture does not know keeps its own name, without wrappers, as its role. Two names that
        come to the same role are told apart by `~2`, `~3`, ... in the order of the names.

    Notes
    -----
    Names that differ only in numbers that no pattern spells out are matched once, so that tens of thousands of experts
    cost little.

    Examples
    --------
    >>> assign_roles(["bert.encoder.layer.0.output.dense.weight", "bert.embeddings.position_ids"]).roles
    {'bert.encoder.layer.0.output.dense.weight': 'layers.0.mlp.down.weight'}
    """
    everywhere, architectures = _load()
    plain = {name: _without_wrappers(name, everywhere.wrappers[:-1]) for name in names}
    spelled = frozenset().union(*(architecture.numbers for architecture in (everywhere, *architectures)))
    samples: dict[str, list[str]] = {}
    for name in names:
        alike = _NUMBER.sub(lambda number: number[0] if number[0] in spelled else "#", plain[name])
        samples.setdefault(alike, []).append(name)
    scores = []
    for number, architecture in enumerate(architectures):
        matched = sum(
            len(group)
            for group in samples.values()
            if _match(plain[group[0]], architecture) is not None or _is_derived(plain[group[0]], architecture)
        )
        scores.append((matched, model_type in architecture.model_types, -number))
    best = max(scores, default=(0, False, 0))
    known = best[0] > _LEAST_SHARE * len(names)
    chosen = architectures[-best[2]] if known else everywhere
    roles: dict[str, str] = {}
    for group in samples.values():
        first = plain[group[0]]
        if _is_derived(first, everywhere) or _is_derived(first, chosen):
            continue
        found = _match(first, chosen)
        for name in group:
            role = None
            if found is not None:
                pattern, target = found
                match = pattern.fullmatch(_stripped_to_match(plain[name], pattern, chosen.wrappers))
                role = target.format(**match.groupdict()) if match else None
            if role is None:
                role = _without_wrappers(plain[name], (*everywhere.wrappers, *(chosen.wrappers if known else ())))
            roles[name] = _ADAPTER_NAME.sub(r".\1.\2", role)
    return Assignment(architecture=chosen.name if known else "", roles=_unique(roles, names), tied=chosen.tied)


def _unique(roles: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    taken = set()
    unique = {}
    for name in sorted(name for name in names if name in roles):
        role, count = roles[name], 1
        while role in taken:
            count += 1
            role = f"{roles[name]}~{count}"
        taken.add(role)
        unique[name] = role
    return unique


def _without_wrappers(name: str, wrappers: Iterable[str]) -> str:
    prefixes = tuple(wrappers)
    while True:
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix) and len(name) > len(prefix)), None)
        if prefix is None:
            return name
        name = name[len(prefix) :]


def _candidates(name: str, wrappers: Sequence[str]) -> Iterable[str]:
    """The name, and what is left of it as wrappers are taken off one after the other."""
    yield name
    while True:
        prefix = next((prefix for prefix in wrappers if name.startswith(prefix) and len(name) > len(prefix)), None)
        if prefix is None:
            return
        name = name[len(prefix) :]
        yield name


def _match(name: str, architecture: _Architecture) -> tuple[re.Pattern[str], str] | None:
    for candidate in _candidates(name, architecture.wrappers):
        for pattern, role in architecture.patterns:
            if pattern.fullmatch(candidate):
                return pattern, role
    return None


def _stripped_to_match(name: str, pattern: re.Pattern[str], wrappers: Sequence[str]) -> str:
    return next((found for found in _candidates(name, wrappers) if pattern.fullmatch(found)), name)


def _is_derived(name: str, architecture: _Architecture) -> bool:
    candidates = list(_candidates(name, architecture.wrappers))
    return any(pattern.fullmatch(candidate) for pattern in architecture.derived for candidate in candidates)


@cache
def _load() -> tuple[_Architecture, tuple[_Architecture, ...]]:
    """What holds everywhere, and the architectures sorted by name."""
    folder = files("ingest").joinpath("architectures")
    found = [
        _parse(yaml.load(item.read_text(encoding="utf-8"), _Loader))  # noqa: S506 - a safe loader
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    ]
    everywhere = next(architecture for architecture in found if architecture.name == "any")
    return everywhere, tuple(architecture for architecture in found if architecture is not everywhere)


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _parse(data: Mapping[str, Any]) -> _Architecture:
    return _Architecture(
        name=data["name"],
        model_types=frozenset(data["model_types"]),
        wrappers=tuple(data["wrappers"]),
        patterns=tuple((_compile(pattern), role) for pattern, role in data["tensors"].items()),
        derived=tuple(_compile(pattern) for pattern in data["derived"]),
        tied=data["tied"],
        numbers=frozenset(number for text in (*data["tensors"], *data["derived"]) for number in _NUMBER.findall(text)),
    )


def _compile(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w)\}", pattern)
    text = "".join(
        f"(?P<{part}>{_KINDS[part]})" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    return re.compile(text)
