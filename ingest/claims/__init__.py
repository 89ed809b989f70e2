"""Claims: what cards, configs and recipes say about where a model comes from. They never enter the inference."""

from ingest.claims.documents import read_card, read_documents
from ingest.claims.statements import UNKNOWN, Documentation, Statement

__all__ = ["UNKNOWN", "Documentation", "Statement", "read_card", "read_documents"]
