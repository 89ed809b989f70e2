"""What an inference remembers: so that a version more costs what it touches, and the outcome is as from scratch.

Nothing here is an approximation. Kinship is a property of two versions, and the conclusions about a family are a
function of its members; both are kept under what they depend on, so that the order in which versions arrived cannot
matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from graph_schema.fingerprint import Fingerprint
from lineage.calibration import Calibration
from lineage.conclusions import Conclusions
from lineage.relatedness import families, related_pairs

METHOD = "19"
"""Raised whenever the same family leads to other conclusions."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """What was worked out before.

    Attributes
    ----------
    groups : tuple of tuple of str
        Ids of versions that were held against each other, by family; a version without kin is a group of one.
    families : dict of str to Conclusions
        By `family_key`.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    families: dict[str, Conclusions] = field(default_factory=dict)

    def related(self, members: Sequence[Fingerprint]) -> list[list[int]]:
        """The families of some versions; only pairs with a new version in them are tested.

        A family that lost a member is tested anew: what held it together may be gone.

        Parameters
        ----------
        members : sequence of Fingerprint
            In ascending order of their ids.

        Returns
        -------
        list of list of int
            Positions, as `lineage.relatedness.families` gives them.
        """
        place = {item.version: position for position, item in enumerate(members)}
        known = [[place[version] for version in group] for group in self.groups if place.keys() >= set(group)]
        new = np.ones(len(members), dtype=bool)
        for group in known:
            new[group] = False
        related = related_pairs(members, new) if new.any() else np.zeros((len(members), len(members)), dtype=bool)
        for group in known:
            related[group[:-1], group[1:]] = related[group[1:], group[:-1]] = True
        found = families(related)
        self.groups = tuple(tuple(members[position].version for position in group) for group in found)
        return found

    def forget(self, kept: Iterable[str]) -> None:
        """Forget the conclusions about all families but those with these keys."""
        wanted = set(kept)
        self.families = {key: found for key, found in self.families.items() if key in wanted}


def family_key(family: Sequence[Fingerprint], calibration: Calibration, *, opened: bool = False) -> str:
    """What the conclusions about a family depend on, as a digest."""
    members = sorted(f"{item.version} {item.format} {item.batches}" for item in family)
    text = "\0".join([METHOD, repr(calibration), str(opened), *members])
    return blake2b(text.encode(), digest_size=20).hexdigest()
