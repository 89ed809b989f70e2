"""What an inference remembers: so that a version more costs what it touches, and the outcome is as from scratch.

Nothing here is an approximation. Kinship is a property of two versions, and the conclusions about a family are a
function of its members; both are kept under what they depend on, so that the order in which versions arrived cannot
matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.calibration import Calibration
from lineage.conclusions import Conclusions
from lineage.relatedness import related_pairs

METHOD = "2"
"""Raised whenever the same family leads to other conclusions."""

Conclude = Callable[[Sequence[Fingerprint], Calibration], Conclusions]


@dataclass(slots=True, kw_only=True)
class Memory:
    """What was worked out before.

    Attributes
    ----------
    compared : set of str
        Versions that were held against each other, all of them.
    kin : set of (str, str)
        Those among them that are related, the smaller id first.
    families : dict of str to Conclusions
        By `family_key`.
    """

    compared: set[str] = field(default_factory=set)
    kin: set[tuple[str, str]] = field(default_factory=set)
    families: dict[str, Conclusions] = field(default_factory=dict)

    def related(self, members: Sequence[Fingerprint]) -> NDArray[np.bool_]:
        """Which pairs are related; only pairs with a new version in them are tested.

        Parameters
        ----------
        members : sequence of Fingerprint
            In ascending order of their ids.

        Returns
        -------
        (n, n) bool array
        """
        place = {item.version: position for position, item in enumerate(members)}
        new = np.array([item.version not in self.compared for item in members], dtype=bool)
        found = np.eye(len(members), dtype=bool)
        for one, two in self.kin:
            if one in place and two in place:
                found[place[one], place[two]] = found[place[two], place[one]] = True
        if new.any():
            fresh = related_pairs(members, new)
            found |= fresh
            rows, columns = np.nonzero(np.triu(fresh, 1))
            self.kin.update(
                (members[one].version, members[two].version)
                for one, two in zip(rows.tolist(), columns.tolist(), strict=True)
            )
            self.compared.update(place)
        return found

    def conclusions(self, family: Sequence[Fingerprint], calibration: Calibration, conclude: Conclude) -> Conclusions:
        """What is known of a family, worked out now if it was not before."""
        key = family_key(family, calibration)
        if key not in self.families:
            self.families[key] = conclude(family, calibration)
        return self.families[key]


def family_key(family: Sequence[Fingerprint], calibration: Calibration) -> str:
    """What the conclusions about a family depend on, as a digest."""
    text = "\0".join([METHOD, repr(calibration), *sorted(f"{item.version} {item.format}" for item in family)])
    return blake2b(text.encode(), digest_size=20).hexdigest()
