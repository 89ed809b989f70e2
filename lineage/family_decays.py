"""The decay of weights among the members of a family, and the factors that take it out of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import role_stacks
from lineage.measured_roles import clear_roles
from lineage.pairs import Pair, pair_of
from lineage.spanning_tree import orient
from lineage.weight_decay import STEPS, Decay, Readings, decays, pooled

LARGEST = 50.0
"""Logarithm of a factor beyond which none is believed, however long the chain of decays."""

LEAST_SCORE = 2.0
"""Standard errors from which on a decay is looked at closely, and taken out."""

BATCH = 64

Steps = Mapping[str, float]


class FamilyDecays:
    """The decays between members of one family, each read once.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    roles : collection of str
        What `lineage.measured_roles.measured_roles` chose.
    blurred : collection of str, optional
        Those whose scales are estimates: what decayed there was taken for a scale, so that the others tell what the
        decay is, where there are enough.
    """

    def __init__(
        self, fingerprints: Sequence[Fingerprint], roles: Collection[str], blurred: Collection[str] = ()
    ) -> None:
        self._fingerprints, self._roles = fingerprints, sorted(roles)
        clear = clear_roles(self._roles, blurred)
        self._clear = np.array([role in clear for role in self._roles], dtype=bool)
        self._found: dict[Pair, tuple[Decay, Steps]] = {}

    def between(self, pair: Pair) -> Decay:
        """By how much more than the first of two members the second decayed."""
        self.read([pair])
        return self._found[pair][0]

    def factors(self, tree: Sequence[Pair]) -> dict[str, NDArray[np.float64]]:
        """What each member's weights are multiplied by to undo the decay, one array a role.

        Parameters
        ----------
        tree : sequence of (one, two)
            Near relatives, without cycles. Decays add up along it.

        Returns
        -------
        dict of role to (n,) array
            Only factors between members that the tree connects mean anything. Empty where nothing decayed.

        Notes
        -----
        One eigendecomposition of at most 64 rows an edge and role, and five more where it shows decay.
        """
        self.read(tree)
        size = len(self._fingerprints)
        logs = np.zeros((size, len(self._roles)))
        done: set[int] = set()
        for start in dict.fromkeys(node for pair in tree for node in pair):
            if start in done:
                continue
            done.add(start)
            for node, above in orient(tree, start).items():
                done.add(node)
                pair = pair_of(node, above)
                sign = 1.0 if pair[1] == node else -1.0
                step = self._found[pair][1]
                logs[node] = logs[above] + sign * np.array([step.get(role, 0.0) for role in self._roles])
        logs = np.clip(logs, -LARGEST, LARGEST)
        return {role: np.exp(logs[:, place]) for place, role in enumerate(self._roles) if logs[:, place].any()}

    def read(self, pairs: Iterable[Pair]) -> None:
        """Read the decays of some pairs, those that are known left out."""
        wanted = [pair for pair in dict.fromkeys(pairs) if pair not in self._found]
        if not wanted:
            return
        glance, differ = self._readings(wanted, steps=0)
        found = [self._common(_row(glance, place))[0] for place in range(len(wanted))]
        self._found |= {pair: (decay, {}) for pair, decay in zip(wanted, found, strict=True)}
        close = [place for place, decay in enumerate(found) if abs(decay.score) >= LEAST_SCORE]
        readings, _ = self._readings([wanted[place] for place in close], steps=STEPS)
        for number, place in enumerate(close):
            self._found[wanted[place]] = self._told(_row(readings, number), differ[place])

    def _told(self, readings: Readings, differ: NDArray[np.bool_]) -> tuple[Decay, Steps]:
        """The decay of one pair, and that of each role: the common one unless its own is another, or nothing moved."""
        common, agree = self._common(readings)
        usual = common.value if abs(common.score) >= LEAST_SCORE else 0.0
        steps = {}
        for place, role in enumerate(self._roles):
            own = Decay(
                value=float(readings.values[place]),
                error=float(readings.errors[place]),
                slack=float(readings.slacks[place]),
            )
            if differ[place] and (agree[place] or not np.isfinite(own.error)):
                steps[role] = usual
            elif differ[place]:
                steps[role] = own.value if abs(own.score) >= LEAST_SCORE else 0.0
        return common, steps

    def _common(self, readings: Readings) -> tuple[Decay, NDArray[np.bool_]]:
        """What the matrices of certain scale say together, and which agree with it."""
        errors = np.where(self._clear, readings.errors, np.inf)
        return pooled(Readings(values=readings.values, errors=errors, slacks=readings.slacks))

    def _readings(self, pairs: Sequence[Pair], *, steps: int) -> tuple[Readings, NDArray[np.bool_]]:
        """One row a pair and one column a role, NaN where a role was not read; and which differ, or cannot be seen."""
        shape = (len(pairs), len(self._roles))
        found = Readings(values=np.full(shape, np.nan), errors=np.full(shape, np.inf), slacks=np.zeros(shape))
        differ = np.ones(shape, dtype=bool)
        if not pairs:
            return found, differ
        inside = sorted({member for pair in pairs for member in pair})
        local = [(bisect_left(inside, one), bisect_left(inside, two)) for one, two in pairs]
        for stack in role_stacks([self._fingerprints[member] for member in inside], roles=self._roles):
            column = self._roles.index(stack.role)
            rows, ends = stack.held(local, len(inside))
            for start in range(0, len(rows), BATCH):
                some, (one, two) = rows[start : start + BATCH], ends[start : start + BATCH].T
                first, second = stack.blocks[one].astype(np.float64), stack.blocks[two].astype(np.float64)
                moved = (first != second).any(axis=(1, 2))
                differ[some, column] = moved
                if moved.any():
                    read, at = decays(first[moved], second[moved], steps=steps), some[moved]
                    found.values[at, column], found.errors[at, column] = read.values, read.errors
                    found.slacks[at, column] = read.slacks
        return found, differ


def _row(readings: Readings, place: int) -> Readings:
    return Readings(values=readings.values[place], errors=readings.errors[place], slacks=readings.slacks[place])
