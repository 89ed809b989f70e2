"""An interruption is not lost, wherever it comes."""

import signal
import time

import pytest

from modellake.interruption import interruptions_kept


class Interrupted:
    """Interrupted while it is destroyed."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def work() -> None:
    with interruptions_kept():
        Interrupted()
        time.sleep(30)


def test_an_interruption_in_a_destructor_comes_again() -> None:
    with pytest.raises(KeyboardInterrupt):
        work()


def test_an_interruption_in_the_last_destructor_comes_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), interruptions_kept():
        Interrupted()


def test_without_one_nothing_happens() -> None:
    with interruptions_kept():
        pass
