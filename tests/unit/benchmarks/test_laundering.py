"""Laundered copies: other weights, the same function; and what precision and pruning leave behind."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.lakes.architectures import ARCHITECTURES  # noqa: E402
from benchmarks.lakes.laundering import permuted, rescaled, rotated  # noqa: E402
from benchmarks.lakes.precision import int4_grid, int8_grid, pruned_by_magnitude, pruned_by_structure  # noqa: E402
from benchmarks.lakes.training import load, state_of  # noqa: E402


def logits(architecture: str, state: dict[str, "torch.Tensor"]) -> "torch.Tensor":
    kind = ARCHITECTURES[architecture]
    batch = kind.batches(kind.sources[-1], np.random.default_rng(0))
    with torch.no_grad():
        return load(kind.build(1), state)(**batch).logits


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("launder", [permuted, rescaled])
def test_a_laundered_copy_computes_the_same(architecture: str, launder) -> None:
    kind = ARCHITECTURES[architecture]
    state = state_of(kind.build(0))
    copy = launder(state, kind.couplings(kind.configuration), 3)
    assert any(not torch.allclose(copy[name], state[name], atol=1e-3) for name in state)
    assert torch.allclose(logits(architecture, copy), logits(architecture, state), atol=1e-4)


def test_a_rotated_llama_computes_the_same() -> None:
    kind = ARCHITECTURES["llama"]
    state = state_of(kind.build(0))
    assert torch.allclose(logits("llama", rotated(state, kind.configuration, 3)), logits("llama", state), atol=1e-4)


def test_a_grid_has_few_values_a_row() -> None:
    matrix = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    assert max(len(row.unique()) for row in int8_grid(matrix)) <= 255
    assert max(len(group.unique()) for group in int4_grid(matrix).reshape(-1, 32)) <= 16
    assert float((int8_grid(matrix) - matrix).abs().max()) < 0.02


@pytest.mark.parametrize("architecture", ["gpt2", "resnet", "t5"])
def test_pruning_zeroes_the_share_it_was_asked_for(architecture: str) -> None:
    kind = ARCHITECTURES[architecture]
    state = state_of(kind.build(0))
    for name, tensor in pruned_by_magnitude(state, 0.5).items():
        zeros = float((tensor == 0).float().mean())
        assert zeros == pytest.approx(0.5, abs=0.01) or torch.equal(tensor, state[name])
    couplings = kind.couplings(kind.configuration)
    coupling = next(coupling for coupling in couplings if coupling.permutable and coupling.units >= 8)
    member = coupling.members[0]
    weights = pruned_by_structure(state, couplings, 0.25)[member.name].movedim(member.axis, 0)
    assert int((weights.flatten(1) == 0).all(1).sum()) == coupling.units // 4
