"""Merging methods: their algebra."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from benchmarks.lakes import merges  # noqa: E402

State = dict[str, "torch.Tensor"]
seeds = st.integers(0, 2**31 - 1)
shares = st.floats(0, 1)


def state(seed: int) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {
        "embed": torch.randn(5, 4, generator=generator),
        "layers.0.w": torch.randn(4, 4, generator=generator),
        "layers.1.w": torch.randn(4, 4, generator=generator),
        "steps": torch.tensor(7),
    }


def same(a: State, b: State, tolerance: float = 1e-5) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[name], b[name], atol=tolerance, rtol=0) for name in a)


@given(seeds, shares)
def test_linear_is_affine(seed: int, share: float) -> None:
    a, b = state(seed), state(seed + 1)
    assert same(merges.linear([a, b], [share, 1 - share]), merges.linear([b, a], [1 - share, share]))
    assert same(merges.linear([a, a], [share, 1 - share]), a)


@given(seeds)
def test_slerp_ends_at_its_ends(seed: int) -> None:
    a, b = state(seed), state(seed + 1)
    assert same(merges.slerp(a, b, 0.0), a)
    assert same(merges.slerp(a, b, 1.0), b)


@given(seeds, shares)
def test_slerp_keeps_the_norm_of_unit_tensors(seed: int, t: float) -> None:
    a, b = ({"w": s["embed"] / s["embed"].norm()} for s in (state(seed), state(seed + 1)))
    assert float(merges.slerp(a, b, t)["w"].norm()) == pytest.approx(1, abs=1e-4)


@given(seeds)
def test_task_arithmetic_is_an_affine_merge(seed: int) -> None:
    base, a, b = state(seed), state(seed + 1), state(seed + 2)
    assert same(merges.task_arithmetic(base, [a, b], [0.4, 0.7]), merges.linear([base, a, b], [-0.1, 0.4, 0.7]))
    assert same(merges.task_arithmetic(base, [a], [1.0]), a)


@given(seeds)
def test_ties_of_one_untrimmed_model_is_that_model(seed: int) -> None:
    base, a = state(seed), state(seed + 1)
    assert same(merges.ties(base, [a], [1.0], density=1.0), a)


@given(seeds)
def test_every_value_of_ties_is_the_base_a_constituent_or_their_mean(seed: int) -> None:
    base, a, b = state(seed), state(seed + 1), state(seed + 2)
    merged = merges.ties(base, [a, b], [1.0, 1.0], density=0.5)
    for name in ("embed", "layers.0.w", "layers.1.w"):
        options = torch.stack([base[name], a[name], b[name], (a[name] + b[name]) / 2])
        assert float((options - merged[name]).abs().amin(0).max()) < 1e-5


def test_ties_drops_the_minority_sign() -> None:
    base = {"w": torch.zeros(1)}
    merged = merges.ties(base, [{"w": torch.tensor([3.0])}, {"w": torch.tensor([-1.0])}], [1.0, 1.0], density=1.0)
    assert merged["w"].item() == pytest.approx(3.0)


@given(seeds)
def test_dare_drops_and_rescales(seed: int) -> None:
    base, a = state(seed), state(seed + 1)
    merged = merges.dare(base, [a], [1.0], density=0.5, seed=seed)
    delta, full = merged["embed"] - base["embed"], a["embed"] - base["embed"]
    dropped = delta == 0
    assert torch.allclose(delta[~dropped], 2 * full[~dropped], atol=1e-5)
    assert same(merges.dare(base, [a], [1.0], density=1.0, seed=seed), a)


def test_passthrough_takes_whole_layers() -> None:
    a, b = state(0), state(1)
    merged = merges.passthrough(a, b, "layers.", [1])
    assert torch.equal(merged["layers.1.w"], b["layers.1.w"])
    assert torch.equal(merged["layers.0.w"], a["layers.0.w"])
    assert torch.equal(merged["embed"], a["embed"])


def test_stacked_repeats_layers_and_keeps_the_rest() -> None:
    a = state(0)
    grown = merges.stacked([a], "layers.", [(0, 0), (0, 1), (0, 1)])
    assert set(grown) == {"embed", "steps", "layers.0.w", "layers.1.w", "layers.2.w"}
    assert torch.equal(grown["layers.2.w"], a["layers.1.w"])


@given(seeds, st.floats(0.05, 1))
def test_trimming_keeps_the_largest(seed: int, density: float) -> None:
    delta = state(seed)["embed"]
    kept = merges.trimmed(delta, density)
    assert int((kept != 0).sum()) == max(1, round(density * delta.numel()))
    assert float(kept.abs().max()) == float(delta.abs().max())


def test_integers_come_from_the_first_state_and_dtypes_stay() -> None:
    a = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state(0).items()}
    merged = merges.linear([a, a], [0.5, 0.5])
    assert merged["steps"].item() == 7
    assert merged["embed"].dtype == torch.float16


def test_weights_must_match_the_states() -> None:
    with pytest.raises(ValueError, match="as many weights"):
        merges.linear([state(0)], [0.5, 0.5])
