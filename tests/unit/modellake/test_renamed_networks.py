"""Real networks that no file of architectures knows, trained, saved by different programs under different names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from graph_schema.labels import Relation

CLASSES = 6


class Trunk(nn.Module):
    """A convolution, gated mixing, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.mix = nn.ModuleList(nn.Linear(24, 24) for _ in range(2))
        self.gate = nn.ModuleList(nn.Linear(24, 24) for _ in range(2))
        self.norm = nn.LayerNorm(24)
        self.out = nn.Linear(24, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of pictures."""
        h = self.stem(x).relu().mean(dim=(2, 3))
        for mix, gate in zip(self.mix, self.gate, strict=True):
            h = h + mix(h).relu() * gate(h).sigmoid()
        return self.out(self.norm(h))


def train(network: Trunk, seed: int, *, steps: int, rate: float) -> Trunk:
    """Some steps on pictures of noise, whose classes a fixed projection decides."""
    generator = torch.Generator().manual_seed(seed)
    projection = torch.randn(144, CLASSES, generator=torch.Generator().manual_seed(99))
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        x = torch.randn(64, 1, 12, 12, generator=generator)
        loss = nn.functional.cross_entropy(network(x), (x.flatten(1) @ projection).argmax(dim=1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def fresh(seed: int) -> Trunk:
    """A network trained from scratch."""
    torch.manual_seed(seed)
    return train(Trunk(), seed, steps=60, rate=3e-3)


def tuned(network: Trunk, seed: int) -> Trunk:
    """What becomes of it elsewhere."""
    child = Trunk()
    child.load_state_dict(network.state_dict())
    return train(child, seed, steps=20, rate=3e-4)


def as_safetensors(file: Path, network: Trunk) -> None:
    save_file(network.state_dict(), file)


def as_state_dict(file: Path, network: Trunk) -> None:
    """By a class that calls everything otherwise, and defines the gates before the mixing."""
    names = {"gate": "block.a", "mix": "block.b", "norm": "scale", "out": "classifier", "stem": "features.conv"}
    state = {
        f"{names[name.split('.')[0]]}.{name.split('.', 1)[1]}": item for name, item in network.state_dict().items()
    }
    torch.save(dict(sorted(state.items())), file)


def as_arrays(file: Path, network: Trunk) -> None:
    """As a framework does that keeps inputs first and channels last."""
    arrays = {}
    for name, item in network.state_dict().items():
        values = item.numpy()
        path = name.replace("mix.", "trunk/unit_").replace("gate.", "trunk/switch_").replace(".", "/")
        path = path.replace("weight", "kernel") if values.ndim > 1 else path.replace("weight", "gamma")
        axes = (*range(2, values.ndim), 1, 0) if values.ndim > 1 else (0,)
        arrays[f"net/{path}"] = np.ascontiguousarray(values.transpose(axes))
    np.savez(file, **arrays)


@pytest.fixture(scope="module")
def networks() -> dict[str, Trunk]:
    base = fresh(1)
    return {"base": base, "tuned": tuned(base, 2), "stranger": fresh(3)}


def test_a_fine_tune_is_found_in_another_container_and_a_stranger_is_not(networks, data, lake):
    lake.mkdir()
    as_safetensors(lake / "base.safetensors", networks["base"])
    as_arrays(lake / "tuned.npz", networks["tuned"])
    as_state_dict(lake / "stranger.pt", networks["stranger"])
    data.ingest([lake], isolated=False)
    found = data.infer(least_confidence=0.6)
    names = {version.id: version.name for version in data.whole_lineage().nodes}
    families = {frozenset(names[version] for version in family) for family in found.inference.families}
    assert families == {frozenset(("base", "tuned")), frozenset(("stranger",))}
    # Twenty steps of so small a network hardly tell which came first, whatever it is called: related, and open.
    assert data.whole_lineage().edges == ()
    (doubt,) = found.inference.abstentions
    assert "which of the two came first is open" in doubt.reason
    data.infer(least_confidence=0.3)
    (edge,) = data.whole_lineage().edges
    assert edge.relation is Relation.FINE_TUNED_FROM
    assert {names[edge.child], names[edge.parent]} == {"tuned", "base"}


def test_copies_in_three_containers_are_one_network(networks, data, lake):
    lake.mkdir()
    as_safetensors(lake / "one.safetensors", networks["base"])
    as_state_dict(lake / "two.pt", networks["base"])
    as_arrays(lake / "three.npz", networks["base"])
    as_arrays(lake / "child.npz", networks["tuned"])
    data.ingest([lake], isolated=False)
    data.infer()
    graph = data.whole_lineage()
    names = {version.id: version.name for version in graph.nodes}
    copies = [edge for edge in graph.edges if edge.relation is Relation.REPARAMETRIZED_FROM]
    assert {names[end] for edge in copies for end in (edge.child, edge.parent)} == {"one", "two", "three"}
    assert len(copies) == 2
    (tuned_edge,) = (edge for edge in graph.edges if edge.relation is Relation.FINE_TUNED_FROM)
    assert "child" in {names[tuned_edge.child], names[tuned_edge.parent]}
