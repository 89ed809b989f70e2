"""Interruptions that are not lost: Python drops one that falls into a destructor."""

from __future__ import annotations

import _thread
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, main_thread

AGAIN_AFTER = 0.02
"""Seconds after which a dropped interruption is raised once more: by then the destructor has been left."""


@contextmanager
def interruptions_kept() -> Iterator[None]:
    """Raise within the block, or at its end, any KeyboardInterrupt that was raised where Python ignores exceptions."""
    before = sys.unraisablehook
    pending: list[Timer] = []

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            before(unraisable)
            return
        timer = Timer(AGAIN_AFTER, _interrupt)
        timer.daemon = True
        pending.append(timer)
        timer.start()

    sys.unraisablehook = hook
    try:
        yield
        waiting = [timer for timer in pending if timer.is_alive()]
    finally:
        for timer in pending:
            timer.cancel()
        sys.unraisablehook = before
    if waiting:
        raise KeyboardInterrupt


def _interrupt() -> None:
    """Interrupt the main thread, also where it waits."""
    if hasattr(signal, "pthread_kill") and main_thread().ident is not None:
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
    else:  # pragma: no cover - Windows
        _thread.interrupt_main()
