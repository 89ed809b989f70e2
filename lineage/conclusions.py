"""What is concluded about one family or one group of adapters: everything, however unsure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graph_schema.derivation import Derivation


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """A version whose parent, if it has one, could not be told.

    Attributes
    ----------
    version : str
    reason : str
        One sentence.
    likeliest : Derivation, optional
        What would have been said at a higher risk.
    """

    version: str
    reason: str
    likeliest: Derivation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpliedParent:
    """A parent that must have been there and is not in the lake.

    Attributes
    ----------
    id : str
        `graph_schema.identity.implied_id` of the children.
    children : tuple of str
        Ids of versions, ascending.
    """

    id: str
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusions:
    """What follows from the weights of a few versions.

    Attributes
    ----------
    derivations : tuple of Derivation
        Whatever their confidence.
    roots : tuple of (str, float)
        The most probable root and its probability; empty for adapters.
    implied : tuple of ImpliedParent
    abstentions : tuple of Abstention
        Versions of which not even a likeliest parent is named.
    doubts : mapping of version to str
        What to say where a derivation is not sure enough.
    """

    derivations: tuple[Derivation, ...]
    roots: tuple[tuple[str, float], ...] = ()
    implied: tuple[ImpliedParent, ...] = ()
    abstentions: tuple[Abstention, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)
