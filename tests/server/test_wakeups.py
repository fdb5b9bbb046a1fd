"""Signals that reach a supervisor: each once, none hidden by others, none lost before it began."""

import os
import signal

import pytest

from septet.server.prompt_end import Interruption, handling
from septet.server.wakeups import Wakeups


def test_a_flood_of_signals_hides_none() -> None:
    with Wakeups() as wakeups:
        for _ in range(2000):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        _, arrived = wakeups.wait(60)
        assert signal.SIGTERM in arrived
        assert wakeups.wait(0) == (set(), [])


def test_a_signal_whose_exception_was_lost_before_arrives() -> None:
    terminate = Interruption(0)
    with handling({signal.SIGTERM: terminate}):
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
        with Wakeups() as wakeups:
            assert wakeups.wait(60) == (set(), [signal.SIGTERM])
            assert wakeups.wait(0) == (set(), [])
