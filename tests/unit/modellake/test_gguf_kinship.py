"""A checkpoint and its GGUF conversions: one version where nothing was lost, quantised from it where something was."""

from __future__ import annotations

import json

from safetensors.numpy import save_file

from graph_schema.labels import Relation
from tests.unit.ingest.test_gguf_layout import HEADS, KEY_HEADS, converted, llama, write_gguf


def test_a_conversion_is_found_to_be_quantised_from_its_checkpoint(data, lake):
    (lake / "org/base").mkdir(parents=True)
    weights = llama()
    save_file(weights, lake / "org/base/model.safetensors")
    for kind in ("F32", "Q8_0", "Q5_0", "Q4_0"):
        file = lake / "org" / f"base.{kind}.gguf"
        write_gguf(file, converted(weights), "LLAMA", kind=kind, head_count=HEADS, head_count_kv=KEY_HEADS)
    data.ingest([lake], isolated=False)
    data.infer(weights_only=True)
    graph = data.whole_lineage()
    names = {node.id: node.name for node in graph.nodes}
    # The F32 conversion is the same version under another name.
    assert [node.models for node in graph.nodes if node.name == "org/base"] == [("org/base", "org/base.F32")]
    assert {(names[edge.child], names[edge.parent]) for edge in graph.edges} == {
        (f"org/base.{kind}", "org/base") for kind in ("Q8_0", "Q5_0", "Q4_0")
    }
    assert all(edge.relation is Relation.QUANTIZED_FROM and edge.confidence > 0.9 for edge in graph.edges)
    bits = {names[edge.child]: data.edit(edge.edit).parameters for edge in graph.edges}
    assert {name: json.loads(text)["bits"] for name, text in bits.items()} == {
        "org/base.Q8_0": 8,
        "org/base.Q5_0": 5,
        "org/base.Q4_0": 4,
    }
