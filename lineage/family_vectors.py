"""The members of a family as vectors: thinned, in comparable units, with what storing each value rounded away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import largest_samples, role_stacks
from lineage.precision import MANTISSA

SIDE = 48
MOST_ROLES = 32
LEAST_COVERED = 0.8

Vectors = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedVectors:
    """Values of a version and some relatives over the roles that all have.

    Attributes
    ----------
    values : (k, d) array
        The version's own in the first row.
    steps : (d,) array
        Distance between neighbouring numbers of the version's dtype at each of its values: rounding errs by up to half
        of it, and by its square over twelve on average.
    segments : tuple of slice
        The columns of each role.
    """

    values: Vectors
    steps: Vectors
    segments: tuple[slice, ...]

    @property
    def rounding(self) -> float:
        """Energy that storing the version is expected to have rounded away."""
        return float(np.square(self.steps).sum()) / 12

    @property
    def rounding_by_role(self) -> Vectors:
        """The same for each role."""
        return np.array([np.square(self.steps[part]).sum() / 12 for part in self.segments])


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyVectors:
    """A thinned copy of every member's matrices as one vector each, in comparable units.

    Attributes
    ----------
    values : (n, d) array
        Each role is scaled by the typical distance between members, so that no role drowns the others; NaN where a
        member lacks it.
    segments : tuple of slice
        The columns of each role.
    units : (s,) array
        What the values of each role were divided by.
    mantissas : (n, s) array
        Bits of mantissa that each member's dtype has there.
    """

    values: Vectors
    segments: tuple[slice, ...]
    units: Vectors
    mantissas: NDArray[np.int64]

    @classmethod
    def of(cls, fingerprints: Sequence[Fingerprint]) -> FamilyVectors:
        """Thin the shared matrices with the largest samples to 48 x 48 and scale them; what never moved is left out."""
        roles = {
            tensor.role for item in fingerprints for tensor in largest_samples(item, MOST_ROLES, side=SIDE, least=2)
        }
        dtypes = [{tensor.role: tensor.dtype for tensor in item.tensors} for item in fingerprints]
        parts: list[Vectors] = []
        segments, units, mantissas = [], [], []
        start = 0
        for stack in role_stacks(fingerprints, roles=roles, side=SIDE):
            flat = stack.blocks.reshape(len(stack.blocks), -1).astype(np.float64)
            steps = np.linalg.norm(flat - np.median(flat, axis=0), axis=1)
            # The root of the mean square: where hardly anyone moved, a median would be the rounding of some copies.
            unit = float(np.sqrt(np.mean(steps[steps > 0] ** 2))) if (steps > 0).any() else 0.0
            if unit == 0:
                continue
            part = np.full((len(fingerprints), flat.shape[1]), np.nan)
            part[stack.members] = flat / unit
            parts.append(part)
            segments.append(slice(start, start + part.shape[1]))
            units.append(unit)
            mantissas.append([MANTISSA.get(held.get(stack.role, "F32"), 23) for held in dtypes])
            start += part.shape[1]
        return cls(
            values=np.hstack(parts) if parts else np.zeros((len(fingerprints), 0)),
            segments=tuple(segments),
            units=np.array(units, dtype=np.float64),
            mantissas=np.array(mantissas, dtype=np.int64).reshape(len(segments), len(fingerprints)).T,
        )

    def covers(self, child: int, other: int) -> bool:
        """Whether `other` has nearly all the roles that `child` has."""
        starts = [part.start for part in self.segments]
        mine, theirs = np.isfinite(self.values[child, starts]), np.isfinite(self.values[other, starts])
        return bool((mine & theirs).sum() >= LEAST_COVERED * mine.sum())

    def shared(self, members: Sequence[int]) -> SharedVectors:
        """Values of some members, the first being the version in question, over the roles that all of them have."""
        kept = [
            place for place, part in enumerate(self.segments) if np.isfinite(self.values[members, part.start]).all()
        ]
        parts = [self.segments[place] for place in kept]
        columns = np.concatenate([np.arange(part.start, part.stop) for part in parts] or [np.zeros(0, np.int64)])
        lengths = [part.stop - part.start for part in parts]
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        values = self.values[np.ix_(np.asarray(members), columns.astype(np.int64))]
        unit = np.repeat(self.units[kept], lengths)
        bits = np.repeat(self.mantissas[members[0], kept], lengths)
        return SharedVectors(
            values=values,
            steps=_steps(values[0] * unit, bits) / np.where(unit > 0, unit, 1.0),
            segments=tuple(slice(end - length, end) for end, length in zip(ends, lengths, strict=True)),
        )


def _steps(values: Vectors, bits: NDArray[np.int64]) -> Vectors:
    """Spacing of the numbers with so many bits of mantissa around each value.

    Examples
    --------
    >>> _steps(np.array([1.0, 3.0]), np.array([7, 7])).tolist()
    [0.0078125, 0.015625]
    """
    _, exponents = np.frexp(values)
    spacing: Vectors = np.ldexp(1.0, exponents - 1 - bits)
    return np.where(values == 0, 0.0, spacing)
