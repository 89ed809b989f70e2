"""The names of the graph: node labels, relationship types, and the closed vocabularies of their properties."""

from __future__ import annotations

from enum import StrEnum


class Label(StrEnum):
    """Labels of nodes."""

    MODEL = "Model"
    VERSION = "Version"
    DATASET = "Dataset"
    DATASET_VERSION = "DatasetVersion"
    EDIT = "Edit"
    EVIDENCE = "Evidence"
    AGENT = "Agent"
    BENCHMARK = "Benchmark"
    PUBLICATION = "Publication"


GHOST = "Ghost"
"""Second label of a Version that is named or implied but absent from the lake."""


class Relation(StrEnum):
    """Types of relationships.

    Those from `FINE_TUNED_FROM` to `REPARAMETRIZED_FROM` are shortcuts from child to parent, see `LINEAGE`.
    """

    HAS_VERSION = "HAS_VERSION"
    INPUT = "INPUT"
    OUTPUT = "OUTPUT"
    SUPPORTED_BY = "SUPPORTED_BY"
    CLAIMED_BY = "CLAIMED_BY"
    DESCRIBED_BY = "DESCRIBED_BY"
    FINE_TUNED_FROM = "FINE_TUNED_FROM"
    ADAPTED_FROM = "ADAPTED_FROM"
    MERGED_FROM = "MERGED_FROM"
    DISTILLED_FROM = "DISTILLED_FROM"
    QUANTIZED_FROM = "QUANTIZED_FROM"
    PRUNED_FROM = "PRUNED_FROM"
    EDITED_FROM = "EDITED_FROM"
    EXPANDED_FROM = "EXPANDED_FROM"
    REPARAMETRIZED_FROM = "REPARAMETRIZED_FROM"
    TRAINED_ON = "TRAINED_ON"
    EVALUATED_ON = "EVALUATED_ON"
    SAME_ROWS_AS = "SAME_ROWS_AS"
    SUBSET_OF = "SUBSET_OF"
    OVERLAPS_WITH = "OVERLAPS_WITH"
    REVISED_FROM = "REVISED_FROM"


LINEAGE: tuple[Relation, ...] = (
    Relation.FINE_TUNED_FROM,
    Relation.ADAPTED_FROM,
    Relation.MERGED_FROM,
    Relation.DISTILLED_FROM,
    Relation.QUANTIZED_FROM,
    Relation.PRUNED_FROM,
    Relation.EDITED_FROM,
    Relation.EXPANDED_FROM,
    Relation.REPARAMETRIZED_FROM,
)
"""Shortcuts from a child Version to a parent Version, in the order in which they are listed to people."""


DATA_RELATIONS: tuple[Relation, ...] = (
    Relation.SAME_ROWS_AS,
    Relation.SUBSET_OF,
    Relation.OVERLAPS_WITH,
    Relation.REVISED_FROM,
)
"""Shortcuts from a DatasetVersion to another, read off the sketches of their rows (`lineage.dataset_relations`)."""


class Basis(StrEnum):
    """Where an edge comes from. A declared and an inferred edge stand side by side; neither overwrites the other."""

    DECLARED = "declared"
    INFERRED = "inferred"


class VersionKind(StrEnum):
    """What a set of weights is by itself."""

    FULL = "full"
    ADAPTER = "adapter"
    COMPONENT = "component"
    GHOST = "ghost"


class AgentKind(StrEnum):
    """Who or what made a claim."""

    ORGANIZATION = "organization"
    PERSON = "person"
    SOFTWARE = "software"
