"""What is read from a family serves any numbers, in any order."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from graph_schema.fingerprint import Fingerprint
from lineage.calibration import Calibration, default_calibration
from lineage.cues import edge_cues
from lineage.family import family_tree
from lineage.family_evidence import FamilyEvidence
from tests.unit.lineage.networks import mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]

OTHER = replace(default_calibration(), link_sharpness=1.0, growth=0.1, row_growth=0.2, angle=0.0, direction_slope=0.4)


@pytest.fixture(scope="module")
def family(taken: Take) -> tuple[Fingerprint, ...]:
    root = network(0)
    first, second = trained(root, 1), trained(root, 2)
    third = trained(first, 3, step=0.008)
    some = [root, first, second, third, trained(third, 4), mixed((0.3, first), (0.7, second))]
    return tuple(sorted((taken(item) for item in some), key=lambda item: item.version))


@pytest.mark.parametrize("before", [default_calibration(), OTHER], ids=["shipped", "other"])
def test_a_tree_does_not_depend_on_what_the_evidence_served_before(
    family: tuple[Fingerprint, ...], before: Calibration
) -> None:
    evidence = FamilyEvidence.of(family)
    first = family_tree(evidence, before)
    for calibration in (OTHER, default_calibration(), before):
        assert family_tree(evidence, calibration) == family_tree(FamilyEvidence.of(family), calibration)
    assert family_tree(evidence, before) == first


def test_cues_are_read_once_and_weighed_anew(family: tuple[Fingerprint, ...]) -> None:
    evidence = FamilyEvidence.of(family)
    cues = evidence.cues((0, 1))
    assert evidence.cues((0, 1)) is cues
    assert cues.features == edge_cues(family[0], family[1], decay=evidence.decays.between((0, 1))).features
    assert cues.parts == ()
    doubled = replace(OTHER, growth=2 * OTHER.growth)
    once, twice = (dict(cues.weighed(item).parts) for item in (OTHER, doubled))
    assert once.keys() == twice.keys()
    assert all(twice[name] == pytest.approx((1 + (name == "growth")) * value) for name, value in once.items())
    assert cues.reversed().weighed(OTHER).log_odds == pytest.approx(-cues.weighed(OTHER).log_odds)
    assert cues.weighed(OTHER).weighed(doubled) == cues.weighed(doubled)


def test_copies_of_what_was_not_mapped_are_told_by_matrices_whose_scales_are_estimates_elsewhere(taken: Take) -> None:
    root = network(0)
    source = trained(root, 1)
    copy = dict(source)
    for name, values in source.items():
        if values.ndim > 1:
            step = np.abs(values).max() / 127
            copy[name] = (np.round(values / step) * step).astype(np.float32)
    # One that is too fine a grid to show: of the two matrices of certain scale it is half.
    fine = "model.layers.0.self_attn.v_proj.weight"
    copy[fine] = (source[fine] * (1 + 1e-4 * np.random.default_rng(0).standard_normal(source[fine].shape))).astype("f4")
    members = [taken(item) for item in (root, source, copy)]
    matrices = {tensor.role for tensor in members[0].tensors if len(tensor.shape) > 1}
    clear = {f"layers.0.attention.{part}.weight" for part in ("value", "query")}
    assert clear < matrices
    blurred = frozenset(matrices - clear)
    whole = FamilyEvidence.of(members, blurred=blurred)
    assert [(edge.parent, edge.child, edge.lossy) for edge in whole.certain] == [(1, 2, True)]
    assert whole.signs[2].coarse
    # Where all were mapped, too few matrices show their grid, and the copy is told by the noise of its rounding.
    mapped = FamilyEvidence.of(members, blurred=blurred, mapped=frozenset(item.version for item in members))
    assert [(edge.parent, edge.child, edge.lossy) for edge in mapped.certain] == [(1, 2, True)]
    methods = [edge.transformation.method for each in (whole, mapped) for edge in each.certain if edge.transformation]
    assert [method.split("-bit")[-1] for method in methods] == [" grid", "hidden grid"]
