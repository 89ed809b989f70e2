"""The process that reads: takes requests over a socket, and may die of a file without harm to who asked.

Started by `ingest.isolation` as `python -m ingest.worker DESCRIPTOR MEMORY`; not for people.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from graph_schema.errors import FormatError, ModelLakeError, ResourceError


def serve(connection: Connection, memory: int) -> None:
    """Answer requests until the other end closes.

    A request is `(kind, arguments)`; the answers to it are any number of `("progress", bytes)`, then `("done", result)`
    or `("failed", error)`.
    """
    from ingest.claims import read_documents
    from ingest.fingerprint import measure  # noqa: F401 - compiled code is loaded before memory is measured
    from ingest.reading import read_weights

    import_module("ingest.fingerprint.measure")  # compiled code is loaded before memory is measured
    _cap_memory(memory)
    while True:
        try:
            kind, arguments = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            if kind == "documents":
                result: object = read_documents(*arguments)
            elif kind == "dataset":
                # Only here: pyarrow and the compiled code for cells take a second to load.
                from ingest.datasets.reading import read_dataset

                (source,) = arguments
                result = read_dataset(source, progress=lambda size: connection.send(("progress", size)))
            else:
                weights, name, threads = arguments
                result = read_weights(
                    weights, name=name, workers=threads, progress=lambda size: connection.send(("progress", size))
                )
            answer: tuple[str, object] = ("done", result)
        except ModelLakeError as error:
            answer = ("failed", error)
        except MemoryError:
            answer = ("failed", _too_large(memory))
        except (ConnectionError, KeyboardInterrupt):
            return
        except Exception as error:  # a reader's fault must cost the file, whatever it is
            out_of_threads = isinstance(error, RuntimeError) and "thread" in str(error)
            fault = FormatError(f"cannot be read ({type(error).__name__}: {str(error)[:200]})")
            answer = ("failed", _too_large(memory) if out_of_threads else fault)
        with suppress(ConnectionError):
            connection.send(answer)


def _too_large(memory: int) -> ResourceError:
    return ResourceError(f"takes more than {memory / (1 << 20):.0f} MiB of memory to read", remedy="raise the limit")


def _cap_memory(memory: int) -> None:
    # Address space is what Linux can cap; what libraries and thread stacks hold by now is not the file's doing.
    try:
        import resource

        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = held + memory
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
