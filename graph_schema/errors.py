"""Every exception the project raises on purpose, as one tree.

::

    ModelLakeError
    ├── InputError                  what was given cannot be used
    │   ├── PathNotFoundError       no such file or directory
    │   ├── EmptyLakeError          nothing that looks like a model was found
    │   ├── FormatError             a file does not hold what its format promises
    │   │   ├── UnsafeFileError     reading it would run code, leave the lake or exhaust the machine
    │   │   ├── UnsupportedFormatError
    │   │   └── FingerprintError    a fingerprint file is damaged or from a newer version
    │   ├── NameConflictError       two different things claim one name
    │   ├── UnknownNameError        no model, version or query of that name
    │   └── QueryError              a Cypher query is malformed or lacks a parameter
    │       └── QueryRefusedError   a read-only query that would write, administer or read files
    ├── StoreError                  the database
    │   ├── StoreUnavailableError   nothing answers there
    │   ├── StoreAuthenticationError
    │   ├── StoreDamagedError       it is there but cannot be read
    │   ├── SchemaVersionError      written by a newer modellake
    │   └── QueryTimeoutError
    ├── ResourceError               the disk is full, or a cap on memory, time or size was reached
    └── MissingDependencyError      an optional program or package is absent

Each carries what went wrong, where (file, tensor, field) and what to do about it, and prints as one line. "Related or
not, cannot tell" is a result, not an error.
"""

from __future__ import annotations

from graph_schema.plain_text import escaped


class ModelLakeError(Exception):
    """Root of the tree: one line that says what, where and what to do.

    Parameters
    ----------
    what : str
        What went wrong, lower case, without a final full stop.
    where : str, optional
        File, tensor or field; control characters (bidirectional ones too) are escaped: a hostile name forges no line.
    remedy : str, optional
        What the reader can do about it.

    Examples
    --------
    >>> print(FormatError("header ends after 3 of 8 bytes", where="a.safetensors", remedy="download the file again"))
    a.safetensors: header ends after 3 of 8 bytes (download the file again)
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.remedy})" if self.remedy else ""
        return escaped(f"{place}{self.what}{advice}")

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (a file is read in a worker that may die); the default drops keyword arguments.
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[ModelLakeError], what: str, where: str | None, remedy: str | None) -> ModelLakeError:
    return kind(what, where=where, remedy=remedy)


class InputError(ModelLakeError):
    """What was given cannot be used."""


class PathNotFoundError(InputError):
    """No such file or directory."""


class EmptyLakeError(InputError):
    """Nothing that looks like a model was found."""


class FormatError(InputError):
    """A file does not hold what its format promises."""


class UnsafeFileError(FormatError):
    """Reading the file would run code, leave the lake or exhaust the machine."""


class UnsupportedFormatError(FormatError):
    """No reader knows the file."""


class FingerprintError(FormatError):
    """A fingerprint file is damaged, or written by a newer version."""


class NameConflictError(InputError):
    """Two different things claim one name."""


class UnknownNameError(InputError):
    """No model, version or query of that name."""


class QueryError(InputError):
    """A Cypher query is malformed, or a parameter is missing or of the wrong type."""


class QueryRefusedError(QueryError):
    """A query on the read-only path would write, administer the server or read its files."""


class StoreError(ModelLakeError):
    """The database could not do what was asked."""


class StoreUnavailableError(StoreError):
    """Nothing answers at the store's address."""


class StoreAuthenticationError(StoreError):
    """The store refused the user or the password."""


class StoreDamagedError(StoreError):
    """The store is there but cannot be read."""


class SchemaVersionError(StoreError):
    """The store was written by a newer modellake."""


class QueryTimeoutError(StoreError):
    """A query ran past its time limit and was stopped."""


class ResourceError(ModelLakeError):
    """The disk is full, or a cap on memory, time or size was reached."""


class MissingDependencyError(ModelLakeError):
    """An optional program or package is absent."""
