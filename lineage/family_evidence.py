"""What is read from a family before anything is weighed: it depends on no fitted number, and is read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from graph_schema.fingerprint import Fingerprint
from lineage.certain import CertainEdge, certain_edges
from lineage.cues import EdgeCues, edge_cues
from lineage.family_decays import FamilyDecays
from lineage.family_vectors import FamilyVectors
from lineage.link_weights import WeighedLink, Yardstick, weigh
from lineage.measured_roles import clear_tensors, measured_roles
from lineage.nearness import nearest_relatives
from lineage.pairs import Pair
from lineage.rules.traits import Traits, traits
from lineage.topology import weighed_links


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyEvidence:
    """A family as its tree is built from it.

    Attributes
    ----------
    members : tuple of Fingerprint
        Positions of all else count in them.
    roles : frozenset of role
        The tensors that distances are taken over.
    blurred : frozenset of role
        Tensors whose scales are estimates in some member.
    vectors : FamilyVectors
    signs : tuple of Traits
        What each member shows of its making.
    certain : tuple of CertainEdge
        What rules say.
    decays : FamilyDecays
        Read as they are asked for.
    links : mapping of (one, two) to WeighedLink
        The pairs whose distances were taken at first.
    yardstick : Yardstick
        In what further ones are weighed.
    """

    members: tuple[Fingerprint, ...]
    roles: frozenset[str]
    blurred: frozenset[str]
    vectors: FamilyVectors
    signs: tuple[Traits, ...]
    certain: tuple[CertainEdge, ...]
    decays: FamilyDecays
    links: Mapping[Pair, WeighedLink]
    yardstick: Yardstick
    _cues: dict[Pair, EdgeCues] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        fingerprints: Sequence[Fingerprint],
        *,
        merging: Sequence[Fingerprint] | None = None,
        estimated: frozenset[str] = frozenset(),
        blurred: frozenset[str] = frozenset(),
        mapped: frozenset[str] = frozenset(),
    ) -> Self:
        """Read a family.

        Parameters
        ----------
        fingerprints : sequence of Fingerprint
            At least two versions that `lineage.relatedness` found related.
        merging : sequence of Fingerprint, optional
            The same versions at the scales at which they may be merges (`lineage.symmetry.frame.CommonFrame`).
        estimated : frozenset of version
            Members whose scales are estimates (`lineage.symmetry.frame.CommonFrame`).
        blurred : frozenset of role
            Tensors whose scales are estimates in some member: directions are read from others, and distances where
            most matrices are others.
        mapped : frozenset of version
            Members whose values are not those they were given with: the others are looked at as they are.

        Notes
        -----
        In a small family every pair is weighed; in a large one, a handful of neighbours each (`lineage.topology`).
        """
        roles = measured_roles(fingerprints, blurred)
        near = nearest_relatives(fingerprints, roles)
        vectors = FamilyVectors.of(fingerprints)
        clear = clear_tensors(fingerprints, blurred)
        signs = [
            traits(item) if item.version not in mapped else replace(traits(own), sparse=traits(item).sparse)
            for own, item in zip(clear, fingerprints, strict=True)
        ]
        loose = frozenset(place for place, item in enumerate(fingerprints) if item.version in estimated)
        whole = frozenset(place for place, item in enumerate(fingerprints) if item.version not in mapped)
        certain = certain_edges(fingerprints, near, vectors, signs, loose, merging or fingerprints, clear, whole)
        copies = {edge.child for edge in certain if edge.directed and edge.lossy}
        decays = FamilyDecays(fingerprints, roles, blurred)
        weighed, yardstick = weighed_links(fingerprints, roles, near, decays, aside=copies)
        return cls(
            members=tuple(fingerprints),
            roles=frozenset(roles),
            blurred=blurred,
            vectors=vectors,
            signs=tuple(signs),
            certain=tuple(certain),
            decays=decays,
            links={(link.one, link.two): link for link in weighed},
            yardstick=yardstick,
        )

    def more_links(self, pairs: Sequence[Pair]) -> dict[Pair, WeighedLink]:
        """Further pairs, on the same yardstick."""
        return {(link.one, link.two): link for link in weigh(self.members, pairs, sorted(self.roles), self.yardstick)}

    def cues(self, pair: Pair) -> EdgeCues:
        """What speaks for the first of two members being the parent of the second; read once, not weighed."""
        if pair not in self._cues:
            one, two = pair
            members, signs = self.members, (self.signs[one], self.signs[two])
            self._cues[pair] = edge_cues(members[one], members[two], signs, self.decays.between(pair), self.blurred)
        return self._cues[pair]
