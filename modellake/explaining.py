"""Explaining: the evidence of one version out of the graph, and what the last inference left open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graph_schema.derivation import Derivation, Observation
from graph_schema.errors import NameConflictError, UnknownNameError
from graph_schema.identity import IMPLIED_PREFIX, clean_name
from graph_schema.labels import Basis, VersionKind
from graph_schema.lineage_graph import EditDetail, LineageGraph
from graph_schema.records import Evidence
from lineage.conclusions import Abstention
from modellake.counterfactuals import Names, percent, would_change
from modellake.explanation import MISSING, Claim, Cue, Explanation, Named, Outcome, Parentage
from modellake.lake import Lake
from modellake.last_inference import LastInference, last_inference

RUNNER_UP = "runner_up"
_PREFIX = re.compile(r"\b[0-9a-f]{12}\b")


def explain(lake: Lake, model: str) -> Explanation:
    """Why a version has the inferred parents that it has, or none.

    Parameters
    ----------
    lake : Lake
    model : str
        As for `Lake.resolve`.

    Raises
    ------
    UnknownNameError, NameConflictError
        As `Lake.resolve`.
    """
    graph = lake.lineage(model, up=1, down=0)
    edits = {edge.edit: lake.edit(edge.edit) for edge in graph.parents(graph.focus)}
    last = last_inference(lake.settings.outcome, lake.settings.store_key)
    return _Explaining(lake, graph, last).explanation(list(edits.values()))


class _Explaining:
    """One version being explained, and the names found on the way."""

    def __init__(self, lake: Lake, graph: LineageGraph, last: LastInference | None) -> None:
        self.lake, self.graph, self.last = lake, graph, last
        self.names = {node.id: clean_name(node.name) for node in graph.nodes}
        self.version = Named(id=graph.focus, name=self.names[graph.focus])

    def explanation(self, edits: Sequence[EditDetail]) -> Explanation:
        found = tuple(self._inferred(edit) for edit in edits if edit.basis is Basis.INFERRED)
        claims = tuple(self._claim(edit) for edit in edits if edit.basis is Basis.DECLARED)
        said = self._found(found) if found else self._none()
        return replace(said, claims=claims)

    def _found(self, found: tuple[Parentage, ...]) -> Explanation:
        words = "; ".join(f"{item.words}, confidence {item.confidence:.1%}" for item in found)
        siblings = [item.name for part in found for item in part.siblings]
        if siblings:
            words += f"; so {'was' if len(siblings) == 1 else 'were'} {' and '.join(siblings)}"
        hidden = any(parent.id.startswith(IMPLIED_PREFIX) for item in found for parent in item.parents)
        if self.version.id.startswith(IMPLIED_PREFIX):
            words = f"is not in the lake; the weights imply it, {words}"
        return Explanation(
            version=self.version,
            outcome=Outcome.HIDDEN_PARENT if hidden else Outcome.PARENT,
            statement=words,
            parentages=found,
        )

    def _none(self) -> Explanation:
        version, last = self.version, self.last

        def say(outcome: Outcome, statement: str, **more: Any) -> Explanation:
            return Explanation(version=version, outcome=outcome, statement=statement, **more)

        node = self.graph.node(version.id)
        if version.id.startswith(IMPLIED_PREFIX):
            return say(
                Outcome.NOT_IN_THE_LAKE, "the weights of its children imply it; nothing is known of its own parent"
            )
        if node.kind is VersionKind.GHOST:
            return say(Outcome.NOT_IN_THE_LAKE, "named as a parent, but its weights are not in the lake")
        if last is None:
            return say(
                Outcome.NOT_COMPARED,
                "no parent is inferred, and why is not on record",
                would_change=("modellake infer compares what is in the lake, and keeps why",),
            )
        abstention = last.abstention(version.id)
        if abstention is not None:
            return self._open(abstention, last.least_confidence)
        family = last.family(version.id)
        if not family:
            return say(
                Outcome.NOT_COMPARED,
                "it took no part in the last inference",
                would_change=("modellake infer compares it, unless its weights could not be read",),
            )
        if version.id in last.incomparable:
            return say(Outcome.ALONE, f"no kin; nothing in it can be compared: {last.incomparable[version.id]}")
        if len(family) == 1:
            others = sum(map(len, last.families)) - 1
            if not others:
                return say(Outcome.ALONE, "no kin; there is no other model in the lake")
            whom = "the other in the lake is not" if others == 1 else f"none of the {others} others in the lake is"
            return say(Outcome.ALONE, f"no kin; {whom} related to it", would_change=("a relative, once it is read",))
        older = "an older relative that is missing from the lake, once it is read, would be its parent"
        probability = last.roots.get(version.id)
        if probability is None and node.children:
            # Of versions that are the same but for laundering, another one may stand for the root.
            return say(
                Outcome.ROOT,
                f"no parent; it stands at the top of its family of {len(family)} versions",
                would_change=(older,),
            )
        if probability is None:
            return say(
                Outcome.NOT_COMPARED,
                f"of a family of {len(family)} versions, but the store has no parent of it that was inferred",
                would_change=("modellake infer writes what is missing",),
            )
        lines = []
        if probability < 0.9995:
            lines.append(f"with {percent(1 - probability)} another version of the family came first")
        lines.append(older)
        return say(
            Outcome.ROOT,
            f"no parent; it is the most probable root of its family of {len(family)} versions ({percent(probability)})",
            would_change=tuple(lines),
        )

    def _open(self, abstention: Abstention, least: float) -> Explanation:
        likeliest = abstention.likeliest
        said = Explanation(
            version=self.version,
            outcome=Outcome.OPEN,
            statement=f"cannot tell; {self._named(abstention.reason)}",
        )
        if likeliest is None:
            return replace(said, would_change=("the model that it was made from, once it is read",))
        parentage = self._parentage(likeliest, likeliest.observations)
        threshold = (
            f"it is below the least confidence of {least:g}; modellake infer --least-confidence "
            f"{int(100 * likeliest.confidence) / 100:g} would name it"
        )
        return replace(said, parentages=(replace(parentage, would_change=(*parentage.would_change, threshold)),))

    def _inferred(self, edit: EditDetail) -> Parentage:
        weights = {edge.parent: edge.weight for edge in self.graph.parents(edit.child) if edge.edit == edit.id}
        return self._parentage(edit, edit.evidence, weights)

    def _parentage(
        self,
        item: EditDetail | Derivation,
        evidence: Sequence[Evidence] | Sequence[Observation],
        weights: dict[str, float | None] | None = None,
    ) -> Parentage:
        if isinstance(item, Derivation):
            relation, weights = item.relation, {parent.id: parent.weight for parent in item.parents}
        else:
            relation, weights = item.kind, weights or dict.fromkeys(item.parents)
        parents = [Named(id=parent, name=self._name(parent), weight=weight) for parent, weight in weights.items()]
        parents.sort(key=lambda parent: (-(parent.weight or 0.0), parent.name, parent.id))
        runner_up = self._runner_up(item)
        told = [
            Cue(kind=one.kind, statement=self._named(one.statement), value=one.value, log_odds=one.log_odds)
            for one in evidence
        ]
        told.sort(key=lambda cue: (-abs(cue.log_odds), cue.kind))
        lines = would_change(
            evidence,
            relation=relation,
            confidence=item.confidence,
            names=Names(
                child=self.version.name,
                parent=" and ".join([parent.name for parent in parents]),
                runner_up=None if runner_up is None else runner_up.name,
            ),
        )
        return Parentage(
            relation=relation,
            parents=tuple(parents),
            confidence=item.confidence,
            summary=self._named(item.summary),
            cues=tuple(cue for cue in told if cue.kind != RUNNER_UP),
            runner_up=runner_up,
            times_as_far=None
            if runner_up is None
            else next((cue.value for cue in told if cue.kind == RUNNER_UP), None),
            siblings=self._siblings(item.child, parents),
            would_change=lines,
        )

    def _runner_up(self, item: EditDetail | Derivation) -> Named | None:
        """The next best parent; none where that is itself said to be made of the version, as a merge of it is."""
        if item.runner_up is None:
            return None
        name = self._name(item.runner_up)
        if name != item.runner_up[:12]:
            above = self.lake.lineage(item.runner_up, up=1, down=0, basis=Basis.INFERRED)
            if any(edge.parent == item.child for edge in above.parents(item.runner_up)):
                return None
        return Named(id=item.runner_up, name=name)

    def _siblings(self, child: str, parents: Sequence[Named]) -> tuple[Named, ...]:
        found: dict[str, str] = {}
        drawn = {node.id for node in self.graph.nodes}
        for parent in parents:
            if parent.id.startswith(IMPLIED_PREFIX) and parent.id in drawn:
                around = self.lake.lineage(parent.id, up=0, down=1)
                found |= {node.id: clean_name(node.name) for node in around.nodes if node.id not in (child, parent.id)}
        return tuple(sorted((Named(id=one, name=name) for one, name in found.items()), key=lambda item: item.name))

    def _claim(self, edit: EditDetail) -> Claim:
        parents = " and ".join(sorted(self._name(parent) for parent in edit.parents))
        return Claim(
            statement=f"{edit.kind.lower().replace('_', ' ')} {parents}",
            sources=tuple(
                clean_name(item.statement) + (f': "{clean_name(item.excerpt)}"' if item.excerpt else "")
                for item in edit.evidence
            ),
        )

    def _name(self, version: str) -> str:
        """What people call a version, given its id or the beginning of it."""
        if version not in self.names:
            try:
                self.names[version] = clean_name(self.lake.resolve(version).name)
            except (UnknownNameError, NameConflictError):
                self.names[version] = MISSING if version.startswith(IMPLIED_PREFIX) else version[:12]
        return self.names[version]

    def _named(self, text: str) -> str:
        """A sentence with names where the inference, which knows none, put the beginnings of ids."""
        return _PREFIX.sub(lambda found: self._name(found[0]), text)
