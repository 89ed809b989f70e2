"""Claims in configuration files: `config.json`, PEFT's `adapter_config.json`, `mergekit_config.yml`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from graph_schema.errors import FormatError, ModelLakeError
from graph_schema.labels import Relation
from graph_schema.records import Claim
from ingest.claims.front_matter import number
from ingest.claims.names import model_name
from ingest.claims.safe_yaml import load_yaml
from ingest.claims.statements import Findings, Statement, excerpt

_CONSTITUENTS_LIMIT = 1000


def load_json(text: str, *, where: str) -> Mapping[str, object]:
    """A JSON object.

    Raises
    ------
    FormatError
        If it is anything else.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no valid JSON: {str(error)[:160]}", where=where, remedy="correct the JSON") from error
    if not isinstance(content, dict):
        raise FormatError("is no JSON object", where=where)
    return content


def read_config(fields: Mapping[str, object], *, subject: str, file: str) -> Findings:
    """The claim of `_name_or_path` in a `config.json`: what the weights were loaded from before they were saved.

    Local paths, and the model's own name, claim nothing.

    Examples
    --------
    >>> found = read_config({"_name_or_path": "org/base"}, subject="team/child", file="config.json")
    >>> found.claims[0].target
    'org/base'
    >>> read_config({"_name_or_path": "./out"}, subject="team/child", file="config.json").claims
    ()
    """
    name = model_name(fields.get("_name_or_path"))
    if name is None or name.lower() == subject.lower():
        return Findings(fields=fields)
    quantized = isinstance(fields.get("quantization_config"), dict)
    claim = Claim(
        subject=subject,
        relation=Relation.QUANTIZED_FROM if quantized else Relation.FINE_TUNED_FROM,
        target=name,
        kind="config_name_or_path",
        file=file,
        field="_name_or_path",
        excerpt=excerpt(f"_name_or_path: {fields['_name_or_path']}"),
    )
    return Findings(claims=(claim,), fields=fields)


def read_adapter_config(fields: Mapping[str, object], *, subject: str, file: str) -> Findings:
    """The claim of `base_model_name_or_path` in PEFT's `adapter_config.json`, with its revision as a statement."""
    statements = []
    if isinstance(fields.get("revision"), str):
        revision = excerpt(fields["revision"])
        statements.append(Statement(kind="base_revision", value=revision, file=file, field="revision"))
    name = model_name(fields.get("base_model_name_or_path"))
    if name is None:
        return Findings(statements=tuple(statements), fields=fields)
    claim = Claim(
        subject=subject,
        relation=Relation.ADAPTED_FROM,
        target=name,
        kind="adapter_config_base",
        file=file,
        field="base_model_name_or_path",
        excerpt=excerpt(f"base_model_name_or_path: {name}"),
    )
    return Findings(claims=(claim,), statements=tuple(statements), fields=fields)


def lora_scale(fields: Mapping[str, object]) -> float:
    """Factor of a LoRA product B A in the adapted weights: alpha / r, or alpha / sqrt(r) where `use_rslora` is set.

    Examples
    --------
    >>> lora_scale({"r": 8, "lora_alpha": 16}), lora_scale({"r": 4, "lora_alpha": 8, "use_rslora": True})
    (2.0, 4.0)
    >>> lora_scale({})
    1.0
    """
    rank, alpha = number(fields.get("r")), number(fields.get("lora_alpha"))
    if not rank or alpha is None or rank < 0:
        return 1.0
    return alpha / (rank**0.5 if fields.get("use_rslora") is True else rank)


def read_mergekit(text: str, *, subject: str, file: str) -> Findings:
    """Claims of a mergekit recipe: a merge's constituents with their weights, and its base.

    `models`, `slices` and `modules` are read; local paths claim nothing.
    """
    try:
        recipe = load_yaml(text, where=f"{subject}/{file}")
    except ModelLakeError as error:
        return Findings(problems=(error,))
    if not isinstance(recipe, dict):
        return Findings(problems=(FormatError("recipe is no mapping", where=f"{subject}/{file}"),))
    claims: dict[str, Claim] = {}
    for field, entry in _constituents(recipe):
        name = _model(entry.get("model"))
        if name is not None and name not in claims and len(claims) < _CONSTITUENTS_LIMIT:
            claims[name] = _merged(subject, file, field, name, _weight(entry))
    base = _model(recipe.get("base_model"))
    if base is not None and base not in claims:
        claims[base] = _merged(subject, file, "base_model", base, None)
    method = recipe.get("merge_method")
    stated = (Statement(kind="merge_method", value=excerpt(method), file=file, field="merge_method"),) if method else ()
    return Findings(claims=tuple(claims.values()), statements=stated, fields=recipe)


def _constituents(recipe: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for entry in _entries(recipe.get("models")):
        yield "models", entry
    for part in _entries(recipe.get("slices")):
        for entry in _entries(part.get("sources")):
            yield "slices", entry
    modules = recipe.get("modules")
    for module in modules.values() if isinstance(modules, dict) else ():
        if isinstance(module, dict):
            yield from _constituents(module)


def _entries(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _model(value: object) -> str | None:
    """A model reference of mergekit: a name, perhaps `base+lora`, or a mapping with `path`."""
    if isinstance(value, dict):
        value = value.get("path") or value.get("model")
    return model_name(value.split("+", 1)[0].split("@", 1)[0]) if isinstance(value, str) else None


def _weight(entry: Mapping[str, object]) -> float | None:
    """A constituent's weight, where it is one number: per-filter lists and gradients are not."""
    parameters = entry.get("parameters")
    value = parameters.get("weight") if isinstance(parameters, dict) else entry.get("weight")
    return number(value)


def _merged(subject: str, file: str, field: str, name: str, weight: float | None) -> Claim:
    return Claim(
        subject=subject,
        relation=Relation.MERGED_FROM,
        target=name,
        kind="mergekit_base" if field == "base_model" else "mergekit_model",
        file=file,
        field=field,
        excerpt=excerpt(f"{field}: {name}" + ("" if weight is None else f", weight {weight:g}")),
        weight=weight,
    )
