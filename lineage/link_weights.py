"""How far two members of a family lie apart: exact tail distances of some pairs, in units of the family."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import RoleStack, role_stacks
from lineage.pairs import Pair
from lineage.shared_tensors import shared_tensors
from lineage.tail_distance import tail_energies
from lineage.threads import processors

BATCH = 64

TIE_BREAK = 1e-6
"""Share of the Frobenius distance that decides between neighbours whose tail distances are nothing but rounding."""

LEAST_COST = 1e-6
"""What is nearer than this share of the nearest pair that differs is as near as equal."""

SHARED = 40.0
"""Log-odds that stand for certainty: what a tensor in common is worth against another link without it."""

NEARLY = 0.05
"""A change of factors that moves no weights farther than this share of a tail's length leaves the tail as it is."""

Factors = Mapping[str, NDArray[np.float64]]
"""What each member's weights are multiplied by, for each role (`lineage.family_decays`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedLink:
    """Two members of a family and how far they lie apart.

    Attributes
    ----------
    one, two : int
        Positions, `one` < `two`.
    tail, frobenius : float
        Squared distances, averaged over the shared matrices, each in units of the family's median for its role; 0 where
        nothing differs, infinite where nothing can be compared.
    missing : float in [0, 1]
        Share of the matrices of either that the other lacks.
    shared : int
        Tensors that the two have in common to the bit (`lineage.shared_tensors`).
    aside : float
        Squared distance over the matrices that are not measured; 0 unless one of the two equals another member in all
        that are.
    """

    one: int
    two: int
    tail: float
    frobenius: float
    missing: float = 0.0
    aside: float = 0.0
    shared: int = 0

    @property
    def cost(self) -> float:
        """What a spanning tree pays for the link: the tail, and a trace of the rest where tails are but rounding."""
        return self.tail + TIE_BREAK * (self.frobenius + self.missing + TIE_BREAK * self.aside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energies:
    """Squared lengths of the changes between the members of some pairs, one row a pair and one column a role.

    Attributes
    ----------
    frobenius, tail : (m, r) array
        NaN where one of the two lacks the role.
    """

    frobenius: NDArray[np.float64]
    tail: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """In what the links of a family are weighed.

    Attributes
    ----------
    tail, frobenius : mapping of role to float
        The median of its squared distances over the links on which it changed.
    factors : mapping of role to (n,) array
        What undoes the decay of weights.
    """

    tail: Mapping[str, float]
    frobenius: Mapping[str, float]
    factors: Factors

    @classmethod
    def of(cls, energies: Energies, roles: Sequence[str], factors: Factors) -> Yardstick:
        """The medians of some links."""
        return cls(tail=_medians(energies.tail, roles), frobenius=_medians(energies.frobenius, roles), factors=factors)


def link_costs(links: Sequence[WeighedLink], sharpness: float) -> NDArray[np.float64]:
    """Minus the logarithm of each link's weight: a power of its cost, and what it shares.

    The cost is bounded where it is rounding or unknown.
    """
    costs = np.array([link.cost for link in links])
    known = costs[(costs > 0) & np.isfinite(costs)]
    low, high = (LEAST_COST * known.min(), known.max() / LEAST_COST) if known.size else (1.0, 1.0)
    found: NDArray[np.float64] = sharpness * np.log(np.clip(costs, low, high))
    return found - SHARED * np.array([link.shared for link in links], dtype=np.float64)


def weigh(
    fingerprints: Sequence[Fingerprint], pairs: Sequence[Pair], roles: Sequence[str], yardstick: Yardstick
) -> tuple[WeighedLink, ...]:
    """Squared distances of some pairs on a yardstick that others have set."""
    plain = measured(fingerprints, pairs, roles)
    return weighed(
        fingerprints, pairs, roles, undecayed(fingerprints, pairs, roles, plain, yardstick.factors), yardstick
    )


def weighed(
    fingerprints: Sequence[Fingerprint],
    pairs: Sequence[Pair],
    roles: Sequence[str],
    energies: Energies,
    yardstick: Yardstick,
) -> tuple[WeighedLink, ...]:
    """The links of some pairs whose changes were measured."""
    found = zip(
        pairs,
        _in_units(energies.tail, [yardstick.tail[role] for role in roles]).tolist(),
        _in_units(energies.frobenius, [yardstick.frobenius[role] for role in roles]).tolist(),
        _missing(fingerprints, pairs),
        shared_tensors(fingerprints, pairs),
        strict=True,
    )
    return tuple(
        WeighedLink(one=one, two=two, tail=tail, frobenius=energy, missing=missing, shared=shared)
        for (one, two), tail, energy, missing, shared in found
    )


def with_tails(
    links: Sequence[WeighedLink], roles: Sequence[str], energies: Energies, yardstick: Yardstick
) -> tuple[WeighedLink, ...]:
    """The same links with tails that were measured anew, one row of `energies` each."""
    tails = _in_units(energies.tail, [yardstick.tail[role] for role in roles]).tolist()
    return tuple(replace(link, tail=tail) for link, tail in zip(links, tails, strict=True))


def measured(fingerprints: Sequence[Fingerprint], pairs: Sequence[Pair], roles: Sequence[str]) -> Energies:
    """The changes between the members of some pairs, as their weights stand.

    Notes
    -----
    One role in memory at a time, one eigendecomposition a role and pair.
    """
    shape = (len(pairs), len(roles))
    found = Energies(frobenius=np.full(shape, np.nan), tail=np.full(shape, np.nan))
    for stack in role_stacks(fingerprints, roles=roles):
        column = roles.index(stack.role)
        rows, ends = stack.held(pairs, len(fingerprints))
        found.frobenius[rows, column], found.tail[rows, column] = _changes(stack, ends, None)
    return found


def undecayed(
    fingerprints: Sequence[Fingerprint],
    pairs: Sequence[Pair],
    roles: Sequence[str],
    energies: Energies,
    factors: Factors,
    *,
    before: Factors = MappingProxyType({}),
) -> Energies:
    """What was measured, its tails without the decay of weights where that makes them shorter.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    pairs : sequence of (one, two)
    roles : sequence of str
    energies : Energies
        Of these pairs and roles.
    factors : Factors
    before : Factors
        What the tails were measured with before. Where the factor between two members is nearly the same, so is the
        tail, and it is not measured again.

    Notes
    -----
    One eigendecomposition a role and pair that is measured again.
    """
    tail = energies.tail.copy()
    for stack in role_stacks(fingerprints, roles=sorted(factors.keys() & set(roles))):
        column = roles.index(stack.role)
        rows, ends = stack.held(pairs, len(fingerprints))
        scale, old = factors[stack.role][stack.members], before.get(stack.role)
        moved = np.log(scale if old is None else scale / old[stack.members])
        lengths = np.sqrt(np.einsum("kij,kij->k", stack.blocks, stack.blocks, dtype=np.float64))
        farther = np.abs(moved[ends[:, 0]] - moved[ends[:, 1]]) * np.minimum(*lengths[ends].T)
        again = farther > NEARLY * np.sqrt(tail[rows, column])
        _, shorter = _changes(stack, ends[again], scale)
        tail[rows[again], column] = np.fmin(tail[rows[again], column], shorter)
    return replace(energies, tail=tail)


def _changes(
    stack: RoleStack, ends: NDArray[np.int64], scale: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared length and tail energy of the change between the members of each pair."""

    def batch(start: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        one, two = ends[start : start + BATCH].T
        if scale is None:
            deltas = np.subtract(stack.blocks[two], stack.blocks[one], dtype=np.float64)
        else:
            deltas = scale[two, None, None] * stack.blocks[two] - scale[one, None, None] * stack.blocks[one]
        return np.einsum("kij,kij->k", deltas, deltas), tail_energies(deltas)

    starts = range(0, len(ends), BATCH)
    if len(starts) > processors():
        with ThreadPoolExecutor(processors(), thread_name_prefix="links") as pool:
            found = list(pool.map(batch, starts))
    else:
        found = [batch(start) for start in starts]
    nothing = np.zeros(0)
    energies, tails = (np.concatenate([nothing, *(part[place] for part in found)]) for place in (0, 1))
    return energies, tails


def ties_broken(
    fingerprints: Sequence[Fingerprint], links: Sequence[WeighedLink], roles: Collection[str]
) -> tuple[WeighedLink, ...]:
    """Tell members that are equal in all that is measured apart by the rest: an edited head, a trained embedding."""
    equal = {member for link in links if link.frobenius == 0 for member in (link.one, link.two)}
    places = [place for place, link in enumerate(links) if {link.one, link.two} & equal]
    others = {tensor.role for place in equal for tensor in fingerprints[place].tensors if len(tensor.shape) > 1}
    names = sorted(others - set(roles))
    pairs = [(links[place].one, links[place].two) for place in places]
    energies = np.full((len(pairs), len(names)), np.nan)
    for stack in role_stacks(fingerprints, roles=names):
        rows, ends = stack.held(pairs, len(fingerprints))
        for row, (one, two) in zip(rows.tolist(), ends.tolist(), strict=True):
            delta = np.subtract(stack.blocks[two], stack.blocks[one], dtype=np.float64)
            energies[row, names.index(stack.role)] = float(np.vdot(delta, delta))
    units = _medians(energies, names)
    apart = _in_units(energies, [units[name] for name in names]).tolist()
    broken = dict(zip(places, apart, strict=True))
    return tuple(
        replace(link, aside=broken[place]) if np.isfinite(broken.get(place, np.inf)) else link
        for place, link in enumerate(links)
    )


def _medians(energies: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    positive = np.where(energies > 0, energies, np.nan)
    moved = np.isfinite(positive).any(axis=0) if len(energies) else np.zeros(len(names), dtype=bool)
    units = np.ones(len(names))
    units[moved] = np.nanmedian(positive[:, moved], axis=0)
    return dict(zip(names, units.tolist(), strict=True))


def _in_units(energies: NDArray[np.float64], units: Sequence[float]) -> NDArray[np.float64]:
    """Mean over the roles, each in its unit."""
    known = np.isfinite(energies)
    scaled = np.where(known, energies, 0.0) / np.asarray(units)
    mean: NDArray[np.float64] = scaled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, np.inf)


def _missing(fingerprints: Sequence[Fingerprint], pairs: Sequence[Pair]) -> list[float]:
    held = [
        frozenset(tensor.role for tensor in fingerprint.tensors if len(tensor.shape) >= 2)
        for fingerprint in fingerprints
    ]
    shares = []
    for one, two in pairs:
        mine, theirs = held[one], held[two]
        shares.append(0.0 if mine == theirs else 1 - len(mine & theirs) / max(len(mine | theirs), 1))
    return shares
