"""Where accuracy is lost: what was found of each merge, and how each way of making a version came out."""

from benchmarks.edge_kinds import outcomes
from benchmarks.lakes.truth import Family, TrueEdge, TrueModel, Truth
from benchmarks.scoring import NO_MERGE, Merged, PredictedEdge, merges
from graph_schema.labels import Relation

TUNED, MERGED = Relation.FINE_TUNED_FROM, Relation.MERGED_FROM
NAMES = ("root", "a", "b", "copy", "gone", "blend", "mix")


def part(child: str, parent: str, weight: float | None, **details: str) -> TrueEdge:
    return TrueEdge(child=child, parent=parent, relation=MERGED, weight=weight, details=details)


def tuned(child: str, parent: str) -> TrueEdge:
    return TrueEdge(child=child, parent=parent, relation=TUNED, details={"method": "full", "optimizer": "adamw"})


def said(child: str, parent: str, relation: Relation = MERGED, weight: float | None = None) -> PredictedEdge:
    return PredictedEdge(child=child, parent=parent, relation=relation, weight=weight)


# root -> a, b, gone (which was removed); `blend` of a and b by task arithmetic from root, `mix` of b and the one gone.
TRUTH = Truth(
    architecture="llama",
    seed=0,
    models=tuple(TrueModel(name=name, family="root", present=name != "gone") for name in NAMES),
    edges=(
        tuned("a", "root"),
        tuned("b", "root"),
        tuned("gone", "root"),
        part("blend", "root", -0.2, method="task arithmetic", role="base"),
        part("blend", "a", 0.5, method="task arithmetic"),
        part("blend", "b", 0.7, method="task arithmetic"),
        part("mix", "b", 0.25, method="linear"),
        part("mix", "gone", 0.75, method="linear"),
    ),
    families=(Family(root="root", initialisation=1, members=NAMES),),
    duplicates=(("a", "copy"),),
)
EDGES = [
    said("a", "root", TUNED),
    said("b", "mix"),
    said("b", "a"),
    said("blend", "copy", weight=0.5),
    said("blend", "root", weight=-0.1),
    said("mix", "b", TUNED),
]


def test_what_was_found_of_each_merge() -> None:
    found = merges(TRUTH, EDGES)
    errors = found[1].errors
    assert found == [
        Merged(child="b", method=NO_MERGE, asked=0, found=0, named=2, true=0, errors=()),
        Merged(child="blend", method="task arithmetic", asked=2, found=1, named=2, true=2, errors=errors),
        Merged(child="mix", method="linear", asked=1, found=0, named=0, true=0, errors=()),
    ]
    assert [round(error, 9) for error in errors] == [0.0, 0.1]


def test_single_parents_by_what_was_done() -> None:
    assert sorted(outcomes(TRUTH, EDGES)) == [
        (f"{TUNED}: full (adamw)", "not a neighbour"),
        (f"{TUNED}: full (adamw)", "right"),
    ]
