"""The data sets of the demonstration lake: found as what they are, and worth a look."""

from __future__ import annotations

from benchmarks.lakes.demo_data import LICENSES, SAMPLED, sources, write_data
from modellake import Lake


def test_each_source_is_a_data_set_and_the_sample_is_part_of_its_own(tmp_path) -> None:
    write_data(tmp_path / "data")
    with Lake(tmp_path / "lake") as lake:
        lake.ingest([tmp_path / "data"], isolated=False)
        found = {entry.id: entry for entry in lake.datasets()}
        assert found.keys() == {*sources(), f"{SAMPLED}-sample"}
        assert {name: found[name].license for name in LICENSES} == LICENSES
        assert found[f"{SAMPLED}-sample"].shared_splits == ("test in train: 100.0%",)
        assert ("subset of", SAMPLED) in {(link.words, link.name) for link in lake.dataset(f"{SAMPLED}-sample").links}
