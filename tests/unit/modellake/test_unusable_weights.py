"""Weights and fingerprints of which nothing can be made: a clear word, and nothing invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.fingerprint.file import read_fingerprint, to_bytes
from modellake.explanation import Outcome
from tests.unit.modellake.small_models import (
    Arrays,
    adapter,
    card,
    halved,
    trained,
    truncate,
    weights,
    write_adapter,
    write_model,
)

NEWEST = 1 << 20


def spoilt(arrays: Arrays, value: float, share: float) -> Arrays:
    """The same weights with a value put over a share of them."""
    generator = np.random.default_rng(0)
    return {
        name: np.where(generator.random(values.shape) < share, np.float32(value), values).astype(np.float32)
        for name, values in arrays.items()
    }


def constant(value: float) -> Arrays:
    return {name: np.full_like(values, value) for name, values in weights(1).items()}


NOTHING = {
    "nan": (spoilt(weights(2), np.nan, 1.0), "the values of its matrices are infinite or no numbers"),
    "infinite": (spoilt(weights(2), np.inf, 1.0), "the values of its matrices are infinite or no numbers"),
    "zero": (constant(0.0), "each of its matrices holds one value throughout"),
    "one": (constant(1.0), "each of its matrices holds one value throughout"),
    "vector": ({"bias": np.arange(9, dtype=np.float32)}, "it has no matrix"),
    "scalar": ({"temperature": np.array(3.0, np.float32)}, "it has no matrix"),
    "empty": ({"weight": np.zeros((0, 16), np.float32)}, "it has no matrix"),
    "small": ({"weight": np.eye(3, dtype=np.float32)}, "none of its matrices has 8 rows and columns"),
}


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    """One lake with a sound model and everything that holds nothing to compare, twice over."""
    from modellake import Lake

    folder = tmp_path_factory.mktemp("nothing")
    write_model(folder / "lake/a/sound", weights(1))
    for name, (arrays, _) in NOTHING.items():
        write_model(folder / "lake/b" / name, arrays)
    write_model(folder / "lake/b/zeros-too", {**constant(0.0), "more.weight": np.zeros((16, 16), np.float32)})
    with Lake(folder / "data") as opened:
        opened.ingest([folder / "lake"], isolated=False)
        yield opened, opened.infer()


@pytest.mark.parametrize("name", NOTHING)
def test_what_holds_nothing_to_compare_says_so(nothing, name):
    opened, summary = nothing
    found = opened.explain(f"b/{name}")
    assert found.outcome is Outcome.ALONE
    assert found.statement == f"no kin; nothing in it can be compared: {NOTHING[name][1]}"
    assert found.version.id in summary.incomparable


def test_nothing_is_inferred_from_nothing(nothing):
    _, summary = nothing
    assert summary.inference.derivations == ()
    assert all(len(family) == 1 for family in summary.inference.families)
    assert len(summary.incomparable) == len(NOTHING) + 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_few_values_that_are_no_numbers_hide_no_parent(shared, data, lake, value):
    write_model(lake / "a/base", weights(1))
    write_model(lake / "a/child", spoilt(trained(weights(1), 2), value, 0.01))
    write_model(lake / "a/stranger", spoilt(weights(3), value, 0.01))
    data.ingest([lake], isolated=False)
    report = shared("infer", "--json").json
    assert [item["relation"] for item in report["derivations"]] == ["FINE_TUNED_FROM"]
    out = shared("infer", "--explain", "a/child").out
    assert "fine tuned from a/base" in out
    assert "7 of 7 shared tensors hold infinite values or such as are no numbers" in out
    assert data.explain("a/stranger").outcome is Outcome.ALONE


def test_constant_tensors_make_no_kin_of_strangers(data, lake):
    name = "model.layers.0.mlp.up_proj.weight"
    for seed in (1, 2):
        write_model(lake / f"a/model-{seed}", {**weights(seed), name: np.zeros((32, 32), np.float32)})
    data.ingest([lake], isolated=False)
    assert data.infer().inference.derivations == ()
    assert data.explain("a/model-1").statement == "no kin; the other in the lake is not related to it"


def test_a_lake_of_one_model(shared, data, lake):
    write_model(lake / "a/one", weights(1))
    data.ingest([lake], isolated=False)
    assert shared("infer").out == "1 versions compared: 0 parents found in 0 families, 1 versions without kin\n"
    assert shared("infer", "--explain", "a/one").out == "a/one: no kin; there is no other model in the lake\n"


def test_models_without_a_tensor_in_common(data, lake):
    write_model(lake / "a/one", weights(1))
    write_model(lake / "a/two", {"some.matrix": np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)})
    data.ingest([lake], isolated=False)
    summary = data.infer()
    assert summary.inference.derivations == ()
    assert summary.incomparable == {}
    assert data.explain("a/two").outcome is Outcome.ALONE


def test_an_adapter_alone(shared, data, lake):
    write_adapter(lake / "a/adapter", adapter(1), base_model_name_or_path="gone/base")
    data.ingest([lake], isolated=False)
    out = shared("infer").out
    assert "0 parents found" in out
    assert "cannot tell: a/adapter: no model of the lake has the matrices it changes" in out
    found = data.explain("a/adapter")
    assert found.outcome is Outcome.OPEN
    assert [claim.statement for claim in found.claims] == ["adapted from gone/base"]


def test_an_adapter_of_nothing_but_zeros(data, lake):
    write_model(lake / "a/base", weights(1))
    write_adapter(lake / "a/adapter", {name: np.zeros_like(values) for name, values in adapter(1).items()})
    data.ingest([lake], isolated=False)
    assert data.infer().inference.derivations == ()
    assert data.explain("a/adapter").outcome is Outcome.OPEN


# Fingerprints


def fingerprint_file(data, name: str) -> Path:
    return data.settings.fingerprint(data.resolve(name).id)


def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)


def from_the_future(file: Path) -> None:
    content = to_bytes(read_fingerprint(file))
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b'\\"format\\":', b'\\"format\\":9', 1)
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])


def is_gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damaged, "its content does not match its digest (delete it and ingest the model again)"),
        (lambda file: truncate(file, 40), "the header ends after the file (delete it and ingest the model again)"),
        (lambda file: file.write_bytes(b""), "shorter than its own length field"),
        (from_the_future, "written by a newer version"),
        (is_gone, "no fingerprint file here (ingest the model again)"),
    ],
)
def test_a_fingerprint_that_cannot_be_read_leaves_its_version_out(shared, data, lake, spoil, words):
    write_model(lake / "a/base", weights(1))
    write_model(lake / "a/half", halved(weights(1)), card(base_model="a/base"))
    write_model(lake / "a/other", weights(2))
    data.ingest([lake], isolated=False)
    spoil(fingerprint_file(data, "a/other"))
    outcome = shared("infer")
    assert outcome.code == 0
    assert outcome.out.startswith("2 versions compared: 1 parents found in 1 families")
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("left out: a/other: ")
    assert words in outcome.err
    assert data.explain("a/other").outcome is Outcome.NOT_COMPARED
    fingerprint_file(data, "a/other").unlink(missing_ok=True)
    data.ingest([lake], isolated=False)
    assert shared("infer").err == ""


def test_what_was_known_of_a_version_outlives_its_fingerprint(shared, data, lake):
    write_model(lake / "a/base", weights(1))
    write_model(lake / "a/half", halved(weights(1)))
    data.ingest([lake], isolated=False)
    data.infer()
    damaged(fingerprint_file(data, "a/half"))
    (problem,) = shared("infer", "--json").json["problems"]
    assert problem["what"] == "damaged: its content does not match its digest"
    assert data.explain("a/half").outcome is Outcome.PARENT
