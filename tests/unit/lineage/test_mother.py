"""MoTHer's formulas, on distances made by hand."""

import numpy as np
import pytest

from lineage.mother import Stage, choose_stage, mother_costs, mother_tree

STAR = np.array([[0, 1, 1, 1], [1, 0, 2, 2], [1, 2, 0, 2], [1, 2, 2, 0]], dtype=float)


def test_a_direction_that_contradicts_the_stage_costs_a_share_of_the_mean_distance() -> None:
    costs = mother_costs(STAR, np.array([4.0, 3, 3, 3]), stage=Stage.SPECIALIZATION, weight=0.3)
    assert costs[0, 1] == 1
    assert costs[1, 0] == pytest.approx(1 + 0.3 * 1.5)
    assert costs[1, 2] == 2


@pytest.mark.parametrize(("stage", "root_score"), [(Stage.SPECIALIZATION, 4.0), (Stage.GENERALIZATION, 2.0)])
def test_the_centre_of_a_star_is_its_root(stage: Stage, root_score: float) -> None:
    kurtosis = np.array([root_score, 3, 3, 3])
    assert mother_tree(STAR, kurtosis, stage=stage).parents == (-1, 0, 0, 0)


def test_the_stage_is_chosen_where_the_distances_tell() -> None:
    assert choose_stage(STAR, np.array([4.0, 3, 3, 3])) is Stage.SPECIALIZATION
    assert choose_stage(STAR, np.array([2.0, 3, 3, 3])) is Stage.GENERALIZATION


def test_a_single_model_is_a_tree() -> None:
    assert mother_tree(np.zeros((1, 1)), np.zeros(1)).parents == (-1,)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        mother_costs(STAR, np.zeros(3), stage=Stage.SPECIALIZATION)
