"""The tests leave no process behind, however they end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import leftovers
from tests.waiting import until

STARTS_AND_IS_KILLED = """
import os, signal, subprocess, sys
from tests.leftovers import Leftovers
with Leftovers():
    subprocess.Popen(["sleep", "3600"], start_new_session=True)
    print(os.environ["TEST_RUN_OF_SEPTET"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_what_a_killed_test_process_had_started_is_ended() -> None:
    killed = subprocess.run(
        [sys.executable, "-c", STARTS_AND_IS_KILLED],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    run = killed.stdout.strip()
    assert killed.returncode < 0
    assert run
    until(lambda: not leftovers.carrying(run))
