"""Small lakes for the use cases, and the command line run on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from modellake import Lake
from modellake.command_line import main
from tests.unit.modellake.small_models import card, halved, weights, write_model, write_rows


@dataclass(frozen=True)
class Outcome:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, which must be JSON and nothing else."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def lake(tmp_path) -> Path:
    return tmp_path / "lake"


def invoke(data: Path, *arguments: object, store: str | None = None) -> Outcome:
    """Run `modellake --directory DATA ARGUMENTS` in this process."""
    options = ["--directory", str(data), *(["--store", store] if store else [])]
    result = CliRunner().invoke(main, [*options, *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def run(tmp_path) -> Run:
    """Run commands one after the other, each with an engine of its own as from a shell."""
    return partial(invoke, tmp_path / "data")


@pytest.fixture
def data(tmp_path) -> Iterator[Lake]:
    """The lake behind `shared`, for reading models in this process: no workers to start."""
    with Lake(tmp_path / "data") as opened:
        opened.backend  # noqa: B018
        yield opened


@pytest.fixture
def shared(data, tmp_path) -> Run:
    """Run commands that share one engine."""
    return partial(invoke, tmp_path / "data")


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Iterator[Run]:
    """A lake read and inferred once a module, for tests that only look: a base, its half, a stranger, some data."""
    folder = tmp_path_factory.mktemp("ready")
    base = weights(1)
    write_model(folder / "lake/acme/base", base, card(license="mit", datasets=["acme/words"]))
    write_model(folder / "lake/acme/half", halved(base), card(base_model="acme/base", base_model_relation="quantized"))
    write_model(folder / "lake/zoo/liar", halved(weights(2)), card(base_model="acme/base"))
    write_model(folder / "lake/zoo/liars-base", weights(2), card(license="mit"))
    write_rows(folder / "lake/acme/words/train.csv", range(100))
    write_rows(folder / "lake/held/out.csv", range(90, 120))
    write_model(folder / "lake/zoo/orphan", weights(3), card(base_model="gone/away"))

    with Lake(folder / "data") as opened:
        opened.ingest([folder / "lake"], isolated=False)
        opened.infer()
        yield partial(invoke, folder / "data")
