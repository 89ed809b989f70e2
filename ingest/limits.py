"""What reading one file may cost before it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from graph_schema.errors import ResourceError

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLimits:
    """Caps on memory, time and size; reaching one costs the file, not the run.

    Attributes
    ----------
    memory : int
        Bytes of address space that a worker process may take beyond what it has when it is ready to read.
    seconds : float
        Time that any file is given, however small.
    bytes_per_second : int
        A file is given the time beyond `seconds` that it takes at this pace; a slow disk reads ten times as fast.
    file_size : int
        Bytes of one set of weights; a sparse file states any size and holds nothing.
    """

    memory: int = 4 * GIB
    seconds: float = 120.0
    bytes_per_second: int = 5 << 20
    file_size: int = 2048 * GIB

    def time_for(self, size: int) -> float:
        """Seconds that reading `size` bytes may take.

        Examples
        --------
        >>> ReadingLimits(seconds=10, bytes_per_second=100).time_for(500)
        15.0
        """
        return self.seconds + size / self.bytes_per_second

    def check_size(self, size: int, where: str) -> None:
        """Raise ResourceError for a set of weights that is too large."""
        if size > self.file_size:
            raise ResourceError(
                f"{size / GIB:.0f} GiB are more than the limit of {self.file_size / GIB:.0f} GiB",
                where=where,
                remedy="raise the limit on file sizes if the file is what it seems",
            )
