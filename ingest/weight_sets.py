"""Which files of a folder hold one set of weights together: shards with their index, numbered shards, single files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from graph_schema.errors import ModelLakeError
from ingest.model_source import WeightSet
from ingest.readers.onnx_file import is_external_data
from ingest.readers.sharded import index_family, read_index, shard_key
from ingest.stored_file import StoredFile

WEIGHT_SUFFIXES = (
    *(".safetensors", ".gguf", ".pt", ".pth", ".ckpt", ".bin", ".npz", ".npy", ".onnx"),
    *(".msgpack", ".keras", ".tflite"),
)
"""Files so named are reported when no reader knows them, instead of being passed over."""

DOCUMENT_SUFFIXES = frozenset(
    [
        ".json",
        ".jsonl",
        ".md",
        ".txt",
        ".yaml",
        ".yml",
        ".toml",
        ".py",
        ".csv",
        ".tsv",
        ".parquet",
        ".arrow",
        ".html",
        ".xml",
        ".cfg",
        ".ini",
        ".lock",
        ".log",
        ".jinja",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".svg",
        ".pdf",
        ".ipynb",
        ".model",
        ".tiktoken",
        ".ot",
        ".mlmodel",
        ".sh",
        ".rst",
        ".bib",
        ".cff",
    ]
)
"""Files so named are never opened in search of weights."""

CANONICAL = re.compile(
    r"(?P<stem>model|pytorch_model|diffusion_pytorch_model|adapter_model|consolidated(\.\d+)?|weights|tf_model|flax_model"
    r"|pytorch_lora_weights|ggml-model)(?P<variant>[.\-_].+)?"
)
"""Stems that name no model by themselves: the folder does."""

_TRAINING_STATE = re.compile(
    r"(optimizer|scheduler|scaler|training_args|rng_state|trainer_state|global_step|zero_pp).*"
)


def is_training_state(name: str) -> bool:
    """Whether a file holds an optimiser's or a trainer's state rather than weights.

    Examples
    --------
    >>> is_training_state("optimizer.pt"), is_training_state("pytorch_model.bin")
    (True, False)
    """
    return _TRAINING_STATE.fullmatch(name) is not None


def stem(name: str) -> str:
    """A file's name without its shard number and its suffix.

    Examples
    --------
    >>> stem("model-00001-of-00002.safetensors"), stem("model.safetensors.index.json"), stem("tiny.Q4_0.gguf")
    ('model', 'model', 'tiny.Q4_0')
    """
    base = index_family(name) or name
    key = shard_key(base)
    return PurePosixPath(key[0] if key else base).stem


def weight_sets(
    weights: Sequence[StoredFile],
    indexes: Sequence[StoredFile],
    formats: Mapping[str, str],
    others: Sequence[StoredFile] = (),
) -> tuple[WeightSet, ...]:
    """Group the weight files of one folder into sets.

    Parameters
    ----------
    weights, indexes : sequence of StoredFile
        Of one folder: files that hold tensors, and their indexes.
    formats : mapping
        Format of each weight file by its name.
    others : sequence of StoredFile
        The remaining files of the folder, among which the external data of ONNX models lies.

    Returns
    -------
    tuple of WeightSet
        Sorted by the stem of their files; `component` is the stem.
    """
    left = {item.base: item for item in weights}
    groups: list[tuple[str, tuple[StoredFile, ...]]] = []
    for index in indexes:
        family = index_family(index.base)
        try:
            named = set(read_index(index).values())
        except ModelLakeError:
            # The set still stands, so that the fault is reported as the model's when it is read.
            named = set()
        named |= {name for name in left if (key := shard_key(name)) and key[0] == family}
        shards = tuple(left.pop(name) for name in sorted(named) if name in left)
        groups.append((stem(index.base), (index, *shards)))
    families: defaultdict[str, list[StoredFile]] = defaultdict(list)
    for name, item in left.items():
        key = shard_key(name)
        families[key[0] if key else name].append(item)
    groups += [(stem(name), tuple(sorted(items, key=lambda item: item.name))) for name, items in families.items()]
    groups = [(name, (*files, *_external(files, formats, others))) for name, files in groups]
    sets = [
        WeightSet(component=name, files=files, format=next((formats[f.base] for f in files if f.base in formats), ""))
        for name, files in groups
    ]
    return tuple(sorted(sets, key=lambda item: (item.component, item.format, item.files[0].name)))


def _external(
    files: tuple[StoredFile, ...], formats: Mapping[str, str], others: Sequence[StoredFile]
) -> list[StoredFile]:
    first = files[0].base
    return [item for item in others if formats.get(first) == "onnx" and is_external_data(item.base, first)]


def component_names(sets: Sequence[WeightSet]) -> list[str]:
    """What each set of one folder is called as a part of its model: nothing for the whole, else what sets it apart.

    Examples
    --------
    >>> component_names([WeightSet(component="model", files=()), WeightSet(component="model.fp16", files=())])
    ['', 'fp16']
    """
    if len(sets) == 1:
        return [""]
    names = []
    for item in sets:
        match = CANONICAL.fullmatch(item.component)
        names.append((match["variant"] or "").lstrip(".-_") if match else item.component)
    return names
