"""The members of a family that an adapter may have been trained on, and how likely each is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.adapters import repeated, shared_modules
from lineage.calibration import Calibration
from lineage.derivations import COPIES
from lineage.gradient_paths import gradient_paths
from lineage.spanning_tree import depths_of

TRIED = 24
"""Members of a family that an adapter is held against: its root, and those with most children."""

STEPS = (Relation.FINE_TUNED_FROM, Relation.EDITED_FROM)

Edge = tuple[str, str, Relation]
"""Parent, child, and what was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseCandidates:
    """Members of a family, and what speaks for each.

    Attributes
    ----------
    versions : tuple of str
        The root first.
    roots : (n,) array
        One for what comes from no other member: adapters are mostly trained on what everyone starts from.
    taken_back : (n,) array
        How far the adapter undoes what training had added on the way from the root: negative cosines, summed over the
        steps (`lineage.adapters.repeated`).
    paths : (n,) array
        How far its gradients came back through this member's matrices (`lineage.gradient_paths`).
    """

    versions: tuple[str, ...]
    roots: NDArray[np.float64]
    taken_back: NDArray[np.float64]
    paths: NDArray[np.float64]

    @property
    def features(self) -> NDArray[np.float64]:
        """All three, one row a member."""
        return np.column_stack([self.roots, self.taken_back, self.paths])

    def log_odds(self, calibration: Calibration) -> NDArray[np.float64]:
        """What each of the three adds for each member; only differences between members count."""
        return self.features * [calibration.adapter_root, calibration.adapter_taken_back, calibration.adapter_paths]

    def probabilities(self, calibration: Calibration) -> NDArray[np.float64]:
        """For each member that it was the base, if one of them was."""
        scores = self.log_odds(calibration).sum(axis=1)
        weights = np.exp(scores - scores.max())
        found: NDArray[np.float64] = weights / weights.sum()
        return found


def tried(group: Sequence[Fingerprint], edges: Sequence[Edge]) -> list[Fingerprint]:
    """The members of a family that an adapter is held against, the root first; no copies."""
    inside = {item.version: item for item in group}
    parents = {child: parent for parent, child, _ in edges if child in inside and parent in inside}
    copies = {child for _, child, relation in edges if relation in COPIES}
    children, depths = Counter(parents.values()), depths_of(parents)
    members = sorted(inside, key=lambda item: (depths.get(item, 0) > 0, -children[item], depths.get(item, 0), item))
    return [inside[version] for version in members if version not in copies or version not in parents][:TRIED]


def base_candidates(adapter: Fingerprint, group: Sequence[Fingerprint], edges: Sequence[Edge]) -> BaseCandidates:
    """What speaks for each member of a family.

    Parameters
    ----------
    adapter : Fingerprint
    group : sequence of Fingerprint
        The family; at least one member has the matrices that the adapter changes.
    edges : sequence of (parent, child, relation)
        Of the family's tree.

    Notes
    -----
    Those that have fewer of the adapter's matrices than another are passed over. Time O(n m u^3) for n members, at most
    `TRIED`, and m modules of u units.
    """
    held = [(shared_modules(adapter, item), item) for item in tried(group, edges)]
    most = max(modules for modules, _ in held)
    members = [item for modules, item in held if modules == most]
    by_id = {item.version: item for item in group}
    above = {child: parent for parent, child, relation in edges if relation in STEPS and child in by_id}
    inner = {child for _, child, _ in edges if child in by_id}
    return BaseCandidates(
        versions=tuple(item.version for item in members),
        roots=np.array([float(item.version not in inner) for item in members]),
        taken_back=np.array([_taken_back(adapter, item.version, above, by_id) for item in members]),
        paths=gradient_paths(adapter, members),
    )


def _taken_back(
    adapter: Fingerprint, version: str, above: Mapping[str, str], by_id: Mapping[str, Fingerprint]
) -> float:
    total, seen, end = 0.0, {version}, version
    while end in above and above[end] in by_id and above[end] not in seen:
        start = above[end]
        total -= repeated(adapter, by_id[start], by_id[end])
        seen.add(start)
        end = start
    return total
