"""Architectures: a tiny configuration of each, what it is trained on, and the symmetries of its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from benchmarks.lakes.corpora import CLASSES, PICTURE, pictures, text
from benchmarks.lakes.symmetries import Coupling, bert, gpt2, llama, resnet, t5, vit
from benchmarks.lakes.training import Batches

WINDOW = 64
BATCH = 16
VOCABULARY = 264
MASK = 256
UNUSED_LABEL = -100

Configuration = dict[str, Any]

TEXTS = (
    "source/asyncio",
    "source/email",
    "source/unittest",
    "source/multiprocessing",
    "source/http+urllib+xmlrpc",
    "source/importlib+zipfile",
    "source/logging+concurrent",
    *(f"words/{seed}" for seed in range(8)),
    *(f"records/{seed}" for seed in range(4)),
    "sums/10",
    "sums/7",
    "brackets/1",
    "brackets/4",
)
ROOT_TEXTS = ("source/idlelib+tkinter,words/20", "source/encodings+ctypes+json,records/20", "words/21,source/xml+html")
TEXTURES = tuple(f"textures/{seed}" for seed in range(16))
ROOT_TEXTURES = ("textures/30", "textures/31", "textures/32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture.

    Attributes
    ----------
    name : str
    model, head_model : str
        Names of the classes in transformers: as pre-trained, and with a new head for classification.
    configuration : mapping
        Arguments of the model's configuration class.
    batches : callable
        From the name of a source and a generator to a batch.
    head_batches : callable
        The same for the new head.
    sources, root_sources : tuple of str
        What fine-tunes, and roots, are trained on.
    head_wrapper : str
        What the names of the weights start with in the model with a new head, and not in the other.
    layers : str
        Prefix of the repeated layers' names, up to their number; empty where they cannot be reordered.
    depth : str
        Key of the configuration that counts them.
    adapted : tuple of str
        Modules that a LoRA is put on; empty where none is.
    couplings : callable
        From a configuration to the groups of axes that can be permuted or rescaled together.
    root_steps : int
    root_rate : float
    """

    name: str
    model: str
    head_model: str
    configuration: Configuration
    batches: Batches
    head_batches: Batches
    sources: tuple[str, ...]
    root_sources: tuple[str, ...]
    layers: str
    depth: str
    adapted: tuple[str, ...]
    couplings: Callable[[Configuration], Sequence[Coupling]]
    head_wrapper: str = ""
    root_steps: int = 400
    root_rate: float = 2e-3

    def build(self, seed: int, *, head: bool = False, **changes: object) -> transformers.PreTrainedModel:
        """A freshly initialised model; `changes` override the configuration."""
        kind = getattr(transformers, self.head_model if head else self.model)
        config = kind.config_class(**{**self.configuration, **changes})
        config.architectures = [kind.__name__]
        torch.manual_seed(seed)
        return kind(config).eval()  # type: ignore[no-any-return]


def windows(source: str, rng: np.random.Generator, length: int, size: int = BATCH) -> Tensor:
    """Token windows (size, length) from random places of a text source."""
    content = text(source)
    starts = rng.integers(0, len(content) - length, size)
    return torch.from_numpy(content[starts[:, None] + np.arange(length)].astype(np.int64))


def _causal(source: str, rng: np.random.Generator) -> dict[str, Tensor]:
    tokens = windows(source, rng, WINDOW)
    return {"input_ids": tokens, "labels": tokens}


def _masked(source: str, rng: np.random.Generator) -> dict[str, Tensor]:
    tokens = windows(source, rng, WINDOW)
    hidden = torch.from_numpy(rng.random(tokens.shape) < 0.2)
    return {
        "input_ids": tokens.masked_fill(hidden, MASK),
        "labels": tokens.masked_fill(~hidden, UNUSED_LABEL),
    }


def _continued(source: str, rng: np.random.Generator) -> dict[str, Tensor]:
    tokens = windows(source, rng, WINDOW)
    return {"input_ids": tokens[:, : WINDOW // 2], "labels": tokens[:, WINDOW // 2 :].contiguous()}


def _seen(source: str, rng: np.random.Generator) -> dict[str, Tensor]:
    images, labels = pictures(source, rng, 2 * BATCH)
    return {"pixel_values": torch.from_numpy(images), "labels": torch.from_numpy(labels)}


def _topic(source: str, rng: np.random.Generator, *, end: int | None = None) -> dict[str, Tensor]:
    """Tell a source's text from two others; `end` closes each window where the head reads the last token."""
    topics = (source, "words/30", "source/idlelib")
    labels = rng.integers(0, len(topics), BATCH)
    rows = [windows(topics[label], rng, WINDOW, 1) for label in labels]
    tokens = torch.cat(rows)
    if end is not None:
        tokens[:, -1] = end
    return {"input_ids": tokens, "labels": torch.from_numpy(labels)}


def _few_classes(source: str, rng: np.random.Generator) -> dict[str, Tensor]:
    batch = _seen(source, rng)
    return {**batch, "labels": batch["labels"] % 7}


_TEXT_HEAD: Configuration = {"num_labels": 3}
HEADS: dict[str, Configuration] = {
    "llama": {**_TEXT_HEAD, "pad_token_id": 257},
    "gpt2": {**_TEXT_HEAD, "pad_token_id": 257},
    "bert": _TEXT_HEAD,
    "t5": _TEXT_HEAD,
    "vit": {"num_labels": 7},
    "resnet": {"num_labels": 7},
}
"""What a new head changes in the configuration."""

_T5_END = 258

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="llama",
            model="LlamaForCausalLM",
            head_model="LlamaForSequenceClassification",
            configuration={
                "vocab_size": VOCABULARY,
                "hidden_size": 96,
                "intermediate_size": 256,
                "num_hidden_layers": 2,
                "num_attention_heads": 6,
                "num_key_value_heads": 2,
                "max_position_embeddings": 128,
                "tie_word_embeddings": False,
                "bos_token_id": None,
                "eos_token_id": None,
            },
            batches=_causal,
            head_batches=_topic,
            sources=TEXTS,
            root_sources=ROOT_TEXTS,
            layers="model.layers.",
            depth="num_hidden_layers",
            adapted=("q_proj", "v_proj", "up_proj", "down_proj"),
            couplings=llama,
        ),
        Architecture(
            name="gpt2",
            model="GPT2LMHeadModel",
            head_model="GPT2ForSequenceClassification",
            configuration={
                "vocab_size": VOCABULARY,
                "n_positions": 96,
                "n_embd": 96,
                "n_layer": 2,
                "n_head": 4,
                "resid_pdrop": 0.0,
                "embd_pdrop": 0.0,
                "attn_pdrop": 0.0,
                "bos_token_id": None,
                "eos_token_id": None,
            },
            batches=_causal,
            head_batches=_topic,
            sources=TEXTS,
            root_sources=ROOT_TEXTS,
            layers="transformer.h.",
            depth="n_layer",
            adapted=("c_attn", "c_fc"),
            couplings=gpt2,
        ),
        Architecture(
            name="bert",
            model="BertForMaskedLM",
            head_model="BertForSequenceClassification",
            configuration={
                "vocab_size": VOCABULARY,
                "hidden_size": 96,
                "intermediate_size": 256,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "max_position_embeddings": 96,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
            batches=_masked,
            head_batches=_topic,
            sources=TEXTS,
            root_sources=ROOT_TEXTS,
            layers="bert.encoder.layer.",
            depth="num_hidden_layers",
            adapted=("query", "value"),
            couplings=bert,
        ),
        Architecture(
            name="vit",
            model="ViTForImageClassification",
            head_model="ViTForImageClassification",
            configuration={
                "image_size": PICTURE,
                "patch_size": 4,
                "hidden_size": 96,
                "intermediate_size": 256,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "num_labels": CLASSES,
            },
            batches=_seen,
            head_batches=_few_classes,
            sources=TEXTURES,
            root_sources=ROOT_TEXTURES,
            layers="vit.layers.",
            depth="num_hidden_layers",
            adapted=("q_proj", "v_proj"),
            couplings=vit,
            root_steps=300,
            root_rate=1e-3,
        ),
        Architecture(
            name="resnet",
            model="ResNetForImageClassification",
            head_model="ResNetForImageClassification",
            configuration={
                "embedding_size": 32,
                "hidden_sizes": [32, 64],
                "depths": [2, 2],
                "layer_type": "basic",
                "num_labels": CLASSES,
            },
            batches=_seen,
            head_batches=_few_classes,
            sources=TEXTURES,
            root_sources=ROOT_TEXTURES,
            layers="",
            depth="",
            adapted=(),
            couplings=resnet,
            root_steps=250,
        ),
        Architecture(
            name="t5",
            model="T5ForConditionalGeneration",
            head_model="T5ForSequenceClassification",
            configuration={
                "vocab_size": VOCABULARY,
                "d_model": 96,
                "d_kv": 24,
                "d_ff": 256,
                "num_layers": 2,
                "num_decoder_layers": 2,
                "num_heads": 4,
                "relative_attention_num_buckets": 16,
                "dropout_rate": 0.0,
                "pad_token_id": 256,
                "eos_token_id": _T5_END,
                "decoder_start_token_id": 256,
            },
            batches=_continued,
            head_batches=partial(_topic, end=_T5_END),
            sources=TEXTS,
            root_sources=ROOT_TEXTS,
            layers="",
            depth="",
            adapted=("q", "v"),
            couplings=t5,
            head_wrapper="transformer.",
        ),
    )
}
