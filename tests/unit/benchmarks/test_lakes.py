"""A small lake, built twice: deterministic, complete, and true to its truth."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from benchmarks.lakes import build  # noqa: E402
from benchmarks.lakes.architectures import ARCHITECTURES  # noqa: E402
from benchmarks.lakes.corpora import text  # noqa: E402
from benchmarks.lakes.growing import GrowingLake  # noqa: E402
from benchmarks.lakes.operations import operations_for  # noqa: E402
from benchmarks.lakes.truth import Truth, truth_path  # noqa: E402

MODELS = 8


@pytest.fixture(scope="module", autouse=True)
def short_runs() -> Iterator[None]:
    drawn = GrowingLake.draw_settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GrowingLake, "draw_settings", lambda lake, **_: replace(drawn(lake), steps=4))
        yield


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = []
    for name in ("first", "second"):
        quick = replace(ARCHITECTURES["resnet"], root_steps=5)
        lake = tmp_path_factory.mktemp("lakes") / name
        build.write(build.grow(quick, seed=1, models=MODELS), lake, strip=True, models=MODELS)
        out.append(lake)
    return out


def test_the_same_seed_gives_the_same_lake(lakes: list[Path]) -> None:
    first, second = ({p.relative_to(lake): p for p in lake.rglob("*") if p.is_file()} for lake in lakes)
    assert first.keys() == second.keys()
    assert all(path.read_bytes() == second[name].read_bytes() for name, path in first.items())
    assert Truth.read(truth_path(lakes[0])) == Truth.read(truth_path(lakes[1]))


def test_truth_and_directories_agree(lakes: list[Path]) -> None:
    truth = Truth.read(truth_path(lakes[0]))
    names = {model.name for model in truth.models}
    assert {str(p.parent.relative_to(lakes[0])) for p in lakes[0].rglob("config.json")} == {
        model.name for model in truth.models if model.present
    }
    assert {name for edge in truth.edges for name in (edge.child, edge.parent)} <= names
    assert {name for family in truth.families for name in family.members} == names
    dates = {model.name: model.created_at for model in truth.models}
    assert all(dates[edge.parent] < dates[edge.child] for edge in truth.edges)


def test_stripped_names_tell_nothing(lakes: list[Path]) -> None:
    files = [p for p in lakes[0].rglob("*") if p.is_file()]
    assert {p.stat().st_mtime for p in files} == {build.WRITTEN_AT}
    assert not any(p.suffix == ".md" for p in files)


def test_twins_share_an_initialisation_and_are_strangers_to_the_others() -> None:
    quick = replace(ARCHITECTURES["resnet"], root_steps=2)
    lake = build.grow(quick, seed=1, models=16)
    assert lake.initialisations[0] == lake.initialisations[2] != lake.initialisations[1]


def test_a_few_seeds_cover_every_operation() -> None:
    for architecture in ARCHITECTURES.values():
        allowed = operations_for(architecture)
        count = min(len(allowed), round((24 - 3) * 0.48))
        seen = {allowed[(seed * count + step) % len(allowed)] for seed in range(3) for step in range(count)}
        assert seen == set(allowed)


@pytest.mark.parametrize("name", ["source/json", "words/1", "records/1", "sums/7", "brackets/4"])
def test_a_source_is_the_same_each_time(name: str) -> None:
    first = text(name).copy()
    text.cache_clear()
    assert len(first) > 10_000
    assert (text(name) == first).all()


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="no text source"):
        text("poems/1")


def test_what_is_made_of_a_published_model_starts_from_what_was_stored(tmp_path: Path) -> None:
    quick = replace(ARCHITECTURES["resnet"], root_steps=5)
    lake = build.grow(quick, seed=1, models=MODELS, published="bf16")
    single = [item for member in lake.members.values() for item in member.state.values() if item.dtype == torch.float32]
    assert single
    assert all(torch.equal(item, item.to(torch.bfloat16).to(torch.float32)) for item in single)
    build.write(lake, tmp_path / "lake", strip=True, models=MODELS)
    kinds = {
        info.dtype
        for path in (tmp_path / "lake").rglob("model.safetensors")
        for info in load_file(path).values()
        if info.is_floating_point()
    }
    assert kinds <= {torch.bfloat16, torch.float16}
