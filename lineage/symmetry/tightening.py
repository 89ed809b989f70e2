"""Scales that relatives pin down: where one version is a mixture of others.

A scale told from a relative is off by what training did along the unit itself, a few tenths of a per cent. A merge
tells better: it is an exact combination of its constituents once all their scales are right. So the scales of all of
them follow from the few weights of the combination, by linearised least squares, unit by unit, in turns with these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.aligning import Network
from lineage.symmetry.couplings import Coupling
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.units import Array, slice_of

EXACT = 1e-10
"""Relative energy that rounding may leave."""

PROMISING = 0.15
CLOSED = 0.011
EXACTLY = 1e-3
"""Residuals of a combination, relative to the distance to its nearest member: worth a try, found, and without doubt."""

HALFWAY = 0.04
LEAST_WEIGHT = 0.04
FIRST_SWEEPS = 6
SWEEPS = 24
LOOSE = 0.02
LEAST_OWN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A version that is an exact combination of others once all scales are right.

    Attributes
    ----------
    maps : tuple of list of UnitMap
        For each participant, the version first.
    weights : tuple of float
        Mean weight of each of the others.
    residual : float
        What is left, relative to the distance to the nearest of the others.
    """

    maps: tuple[list[UnitMap], ...]
    weights: tuple[float, ...]
    residual: float


def mixture(networks: Sequence[Network], bodies: Sequence[int]) -> Mixture | None:
    """Whether the first network is a combination of the others, up to scales.

    Parameters
    ----------
    networks : sequence of Network
        In one frame; the version, then at least two others.
    bodies : sequence of int
        For each network the set it belongs to: scales within a set are right already. The set numbered 0 is not moved.

    Returns
    -------
    Mixture or None
    """
    if not any(bodies):
        return None
    for layered in (False, True):
        first = _closed(networks, bodies, FIRST_SWEEPS, layered=layered)
        if first is None or first.residual > HALFWAY:
            continue
        if first.residual <= EXACTLY:
            return first
        kept = [0, *(place for place, weight in enumerate(first.weights, 1) if abs(weight) > LEAST_WEIGHT)]
        if len(kept) < 3:
            continue
        found = _closed([networks[place] for place in kept], [bodies[place] for place in kept], SWEEPS, layered=layered)
        if found is not None and found.residual <= CLOSED:
            return _spread(found, kept, len(networks))
    return None


def _spread(found: Mixture, kept: Sequence[int], count: int) -> Mixture:
    """The outcome for some of the networks, for all of them."""
    maps: list[list[UnitMap]] = [[] for _ in range(count)]
    weights = [0.0] * (count - 1)
    for number, place in enumerate(kept):
        maps[place] = found.maps[number]
        if place:
            weights[place - 1] = found.weights[number - 1]
    return Mixture(maps=tuple(maps), weights=tuple(weights), residual=found.residual)


def _closed(networks: Sequence[Network], bodies: Sequence[int], sweeps: int, *, layered: bool) -> Mixture | None:
    version = networks[0]
    roles = [role for role in version.matrices if all(_has(item, version, role) for item in networks[1:])]
    current = [{role: item.matrices[role] for role in roles} for item in networks]
    couplings = [
        item for item in version.symmetries.all if item.scalable and all(slot.role in current[0] for slot in item.slots)
    ]
    scales = [[np.ones(item.candidates[-1]) for item in couplings] for _ in networks]
    units = {role: _unit([item[role] for item in current]) for role in roles}
    weights, left = _weights(current, units, layered=layered)
    if not couplings or (sweeps == FIRST_SWEEPS and left > PROMISING):
        return None
    for _ in range(sweeps):
        for place, coupling in enumerate(couplings):
            steps = _steps(current, coupling, weights, bodies, units)
            for number, step in enumerate(steps):
                if step is not None:
                    found = UnitMap(coupling=coupling, units=step.size, order=np.arange(step.size), scale=step)
                    found.apply(current[number])
                    scales[number][place] = scales[number][place] * step
        weights, left = _weights(current, units, layered=layered)
        if left < EXACT**0.5:
            break
    maps = tuple(
        [
            UnitMap(coupling=coupling, units=scale.size, order=np.arange(scale.size), scale=scale)
            for coupling, scale in zip(couplings, own, strict=True)
            if np.abs(scale - 1).max() > 1e-12
        ]
        for own in scales
    )
    return Mixture(maps=maps, weights=tuple(np.mean(list(weights.values()), axis=0).tolist()), residual=left)


def _has(network: Network, version: Network, role: str) -> bool:
    matrix = network.matrices.get(role)
    return matrix is not None and network.shapes[role] == version.shapes[role]


def _unit(values: Sequence[Array]) -> float:
    """What a tensor's differences are measured by: how far the networks lie apart in it."""
    middle = np.mean(values, axis=0)
    apart = float(np.mean([np.mean((item - middle) ** 2) for item in values]))
    return max(apart, EXACT * float(np.mean(middle**2)), 1e-300)


def _weights(
    current: Sequence[Mapping[str, Array]], units: Mapping[str, float], *, layered: bool
) -> tuple[dict[str, Array], float]:
    """Affine weights of the others: the same in all tensors, or each large one's own; and the residual."""
    count = len(current) - 1
    grams, sides, energies = [], [], []
    for role, size in units.items():
        last = current[-1][role]
        apart = np.stack([(item[role] - last).ravel() for item in current[:-1]]) / np.sqrt(size)
        gram = apart @ apart.T
        grams.append(gram[1:, 1:])
        sides.append(gram[0, 1:])
        energies.append(gram)
    whole = _affine(np.sum(grams, axis=0), np.sum(sides, axis=0))
    weights, left = {}, 0.0
    for role, gram, side, energy in zip(units, grams, sides, energies, strict=True):
        own = _affine(gram, side) if layered and current[0][role].size >= LEAST_OWN * count else whole
        weights[role] = own
        free = own[:-1]
        left += float(energy[0, 0] - 2 * free @ side + free @ gram @ free)
    total = np.sum(energies, axis=0)
    distances = [total[0, 0], *(total[0, 0] - 2 * total[0, i] + total[i, i] for i in range(1, count))]
    nearest = min(distances)
    return weights, float(np.sqrt(max(left, 0.0) / nearest)) if nearest > 0 else 0.0


def _affine(gram: Array, side: Array) -> Array:
    free = np.linalg.lstsq(gram, side, rcond=1e-12)[0]
    return np.append(free, 1 - free.sum())


def _steps(
    current: Sequence[Mapping[str, Array]],
    coupling: Coupling,
    weights: Mapping[str, Array],
    bodies: Sequence[int],
    sizes: Mapping[str, float],
) -> list[Array | None]:
    """One step of the scales of every network, towards closing the combination."""
    movable = sorted({body for body in bodies if body != 0})
    if not movable:
        return [None] * len(current)
    units = coupling.candidates[-1]
    left, noise, slots = np.zeros((units, len(movable))), 0.0, 0
    gram = np.zeros((units, len(movable), len(movable)))
    for slot in coupling.slots:
        if not slot.power:
            continue
        parts = [slice_of(item[slot.role], slot, units).reshape(units, -1) for item in current]
        signed = [parts[0], *(-weight * part for weight, part in zip(weights[slot.role], parts[1:], strict=True))]
        rest = np.sum(signed, axis=0)
        size = sizes[slot.role]
        columns = np.stack(
            [
                slot.power * np.sum([part for part, body in zip(signed, bodies, strict=True) if body == number], axis=0)
                for number in movable
            ]
        )
        left += np.einsum("kuf,uf->uk", columns, rest) / size
        gram += np.einsum("kuf,luf->ukl", columns, columns) / size
        noise += float(np.mean(rest**2)) / size
        slots += 1
    # Scales are off by a few per cent at most: what has hardly any weight shall not take up the noise.
    stiff = 1e-9 * np.trace(gram, axis1=1, axis2=2) + noise / max(slots, 1) / LOOSE**2 + 1e-300
    ridge = stiff[:, None, None] * np.eye(len(movable))
    steps: NDArray[np.float64] = -np.linalg.solve(gram + ridge, left[:, :, None])[:, :, 0]
    steps = np.clip(steps, -0.2, 0.2)
    return [None if body == 0 else 1 + steps[:, movable.index(body)] for body in bodies]
