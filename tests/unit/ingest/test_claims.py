"""Claims: what cards and configs say, where they say it, and what they only seem to say."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.errors import FormatError
from graph_schema.labels import Relation
from graph_schema.records import Claim
from ingest.claims import UNKNOWN, Documentation, read_card, read_documents
from ingest.claims.configs import lora_scale, read_mergekit
from ingest.claims.names import model_name
from ingest.claims.prose import read_prose
from ingest.discovery import discover


def card(front: str, body: str = "") -> list[Claim]:
    return list(read_card(f"---\n{front}\n---\n{body}", subject="team/child", file="README.md").claims)


def prose(body: str) -> list[tuple[str, str]]:
    return [(str(claim.relation), claim.target) for claim in read_prose(body, subject="team/child", file="m").claims]


def documents(folder: Path) -> Documentation:
    (source,) = discover([folder])
    return read_documents(source)


@pytest.mark.parametrize(
    ("front", "relation"),
    [
        ("base_model: org/base", Relation.FINE_TUNED_FROM),
        ("base_model: [org/base]\nbase_model_relation: quantized", Relation.QUANTIZED_FROM),
        ("base_model: org/base\nbase_model_relation: adapter", Relation.ADAPTED_FROM),
        ("base_model: org/base\nbase_model_relation: merge", Relation.MERGED_FROM),
        ("base_model: org/base\nlibrary_name: peft", Relation.ADAPTED_FROM),
        ("base_model: org/base\ntags: [gguf]", Relation.QUANTIZED_FROM),
        ("base_model: https://huggingface.co/org/base", Relation.FINE_TUNED_FROM),
    ],
)
def test_base_model_is_a_claim_of_its_relation(front: str, relation: Relation) -> None:
    (claim,) = card(front)
    assert (claim.relation, claim.target, claim.certain) == (relation, "org/base", True)
    assert claim.file == "README.md"
    assert claim.field == "base_model"


def test_the_other_fields_of_front_matter() -> None:
    front = """
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
datasets: [imdb, "https://huggingface.co/datasets/org/data"]
tags: [arxiv:2405.18432, merge]
base_model: [org/a, org/b]
new_version: team/child2
created_at: 2024-05-01 10:00:00
model-index:
- name: child
  results:
  - dataset: {name: MMLU, type: mmlu}
    metrics: [{type: acc, value: 61.5}, {type: f1, value: "n/a"}]
"""
    found = read_card(f"---{front}---\n", subject="team/child", file="README.md")
    rows = {(claim.relation, claim.target, claim.metric, claim.weight) for claim in found.claims}
    assert rows == {
        (Relation.MERGED_FROM, "org/a", None, None),
        (Relation.MERGED_FROM, "org/b", None, None),
        (Relation.TRAINED_ON, "imdb", None, None),
        (Relation.TRAINED_ON, "org/data", None, None),
        (Relation.DESCRIBED_BY, "arxiv:2405.18432", None, None),
        (Relation.EVALUATED_ON, "MMLU", "acc", 61.5),
        (Relation.EVALUATED_ON, "MMLU", "f1", None),
    }
    assert [(item.kind, item.value) for item in found.statements] == [("new_version", "team/child2")]


def test_the_record_takes_what_the_card_says(tmp_path: Path, write_model) -> None:
    text = "---\nlicense: mit\nlibrary_name: transformers\ntags: [a, b]\ncreated_at: 2024-05-01\n---\n"
    model = documents(write_model(tmp_path / "m", card=text, config={})).model
    assert (model.license, model.library, model.tags) == ("mit", "transformers", ("a", "b"))
    assert model.created_at == "2024-05-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "This is a fine-tuned version of [org/base](https://huggingface.co/org/base) on data.",
            "FINE_TUNED_FROM",
        ),
        ("- **Finetuned from model [optional]:** org/base-1", "FINE_TUNED_FROM"),
        ("These are LoRA adaption weights for org/base-1.", "ADAPTED_FROM"),
        ("This repo contains GGUF format model files for [Base](https://huggingface.co/org/base).", "QUANTIZED_FROM"),
        ("A 4-bit quantized version of `org/base-1`", "QUANTIZED_FROM"),
        ("weighted/imatrix quants of https://huggingface.co/org/base", "QUANTIZED_FROM"),
        ("A distilled version of [base](https://huggingface.co/org/base).", "DISTILLED_FROM"),
        ("**Base model:** [base](https://hf.co/org/base)", "FINE_TUNED_FROM"),
        ("The model is based on org/base-1.", "FINE_TUNED_FROM"),
    ],
)
def test_sentences_that_state_a_descent(body: str, expected: str) -> None:
    ((relation, target),) = prose(body)
    assert (relation, target.removesuffix("-1")) == (expected, "org/base")


def test_the_list_of_a_merge() -> None:
    body = """### Models Merged

The following models were included in the merge:
* [org/a](https://huggingface.co/org/a)
* [org/b](https://huggingface.co/org/b)

### Configuration
* [org/c](https://huggingface.co/org/c)
"""
    assert prose(body) == [("MERGED_FROM", "org/a"), ("MERGED_FROM", "org/b")]


@pytest.mark.parametrize(
    "body",
    [
        "We compare with org/base-1 and others.",
        "It was fine-tuned on train/test splits.",
        "```\nA fine-tuned version of org/base-1\n```",
        "<!-- A fine-tuned version of org/base-1 -->",
        "A fine-tuned version of [the paper](https://example.org/x/y).",
        "A fine-tuned version of team/child.",
        "fine-tuned from [a dataset](https://huggingface.co/datasets/org/data)",
    ],
)
def test_sentences_that_state_none(body: str) -> None:
    assert prose(body) == []


def test_a_base_said_to_be_unknown_is_kept_as_said() -> None:
    body = "- **Model Type:** X\n<!-- - **Base model:** [Unknown](https://huggingface.co/unknown) -->\n"
    (claim,) = read_prose(body, subject="team/child", file="README.md").claims
    assert (claim.kind, claim.target, claim.certain) == ("card_base_unknown", UNKNOWN, True)
    assert "Unknown" in claim.excerpt


def test_papers_and_bibtex() -> None:
    found = read_prose("See https://arxiv.org/abs/2405.18432v2\n@misc{key, title={A {B} C}}\n", subject="m", file="f")
    assert [claim.target for claim in found.claims] == ["arxiv:2405.18432"]
    assert [(item.kind, item.value) for item in found.statements] == [("bibtex", "@misc{key, title={A {B} C}}")]


def test_configs_claim_what_they_were_loaded_from(tmp_path: Path, write_model) -> None:
    folder = write_model(
        tmp_path / "m",
        weights="adapter_model.safetensors",
        config={"_name_or_path": "org/base"},
        adapter_config={"base_model_name_or_path": "org/base", "r": 8, "lora_alpha": 16},
    )
    assert {(claim.relation, claim.target, claim.kind) for claim in documents(folder).claims} == {
        (Relation.FINE_TUNED_FROM, "org/base", "config_name_or_path"),
        (Relation.ADAPTED_FROM, "org/base", "adapter_config_base"),
    }


@pytest.mark.parametrize(
    "path", ["", ".", "./out", "../x", "/data/llama", "C:\\models\\x", "~/m", "a/b/c", "outputs/run1", "checkpoint-500"]
)
def test_local_paths_are_no_names(path: str) -> None:
    assert model_name(path) is None


def test_a_merge_recipe_gives_constituents_and_weights() -> None:
    recipe = """
merge_method: linear
base_model: org/base
models:
  - model: org/a
    parameters: {weight: 0.25}
  - model: {model: {path: org/b}}
    parameters: {weight: [{filter: mlp, value: 0.5}]}
  - model: ./local
"""
    found = read_mergekit(recipe, subject="team/merge", file="mergekit_config.yml")
    rows = {(claim.target, claim.weight, claim.kind) for claim in found.claims}
    assert {("org/a", 0.25, "mergekit_model"), ("org/base", None, "mergekit_base")} <= rows
    slices = "slices: [{sources: [{model: org/a, layer_range: [0, 8]}]}, {sources: [{model: org/b}]}]"
    assert [claim.target for claim in read_mergekit(slices, subject="m", file="f").claims] == ["org/a", "org/b"]


def test_lora_scale_is_one_where_nothing_is_said() -> None:
    assert lora_scale({"r": 0, "lora_alpha": 8}) == lora_scale({"r": "x"}) == 1.0


@pytest.mark.parametrize("front", ["a: [", "- list", "a: !!python/object/apply:os.system [id]", "a: \x00"])
def test_broken_front_matter_is_a_problem_and_the_rest_is_read(tmp_path: Path, write_model, front: str) -> None:
    body = "A fine-tuned version of [b](https://hf.co/org/b)."
    found = documents(write_model(tmp_path / "m", card=f"---\n{front}\n---\n{body}", config={}))
    assert [type(problem) for problem in found.problems] == [FormatError]
    assert [claim.target for claim in found.claims] == ["org/b"]


@given(st.text(max_size=400))
def test_any_text_can_be_a_card(text: str) -> None:
    for content in (text, f"---\n{text}\n---\n{text}"):
        for claim in read_card(content, subject="m", file="README.md").claims:
            assert len(claim.excerpt) <= 300
            assert claim.excerpt.isprintable()


FIELDS = st.sampled_from(["base_model", "datasets", "tags", "model-index", "results", "metrics", "dataset"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)
)


@given(VALUES)
def test_any_yaml_can_be_front_matter(value: object) -> None:
    card(json.dumps({"base_model": value, "datasets": value, "tags": value, "model-index": value, "license": value}))
