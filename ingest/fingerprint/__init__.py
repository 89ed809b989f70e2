"""Weights to fingerprints: roles, plan, the one pass, and the file it is kept in.

Importing this package is cheap; Numba is imported when the first fingerprint is taken.
"""

from __future__ import annotations

from ingest.fingerprint.file import read_fingerprint, write_fingerprint
from ingest.fingerprint.plan import BlockPlan, Extent
from ingest.fingerprint.roles import Assignment, assign_roles
from ingest.fingerprint.taking import take_fingerprint

__all__ = [
    "Assignment",
    "BlockPlan",
    "Extent",
    "assign_roles",
    "read_fingerprint",
    "take_fingerprint",
    "write_fingerprint",
]
