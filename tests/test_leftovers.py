"""The tests leave no process behind, however they end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

STARTS_AND_IS_KILLED = """
import os, signal, subprocess, sys
from tests.leftovers import Leftovers
with Leftovers():
    shell = 'env -i sleep 3600 & echo $!; wait'  # this sleep does not carry the variable
    child = subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, text=True, start_new_session=True)
    print(child.pid, child.stdout.readline().strip(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def ended(process: int) -> bool:
    """Whether it runs no more; what nobody has waited for yet has no memory."""
    try:
        return not Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_what_a_killed_test_process_had_started_is_ended_with_all_that_it_started() -> None:
    killed = subprocess.run(
        [sys.executable, "-c", STARTS_AND_IS_KILLED],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    processes = [int(each) for each in killed.stdout.split()]
    assert killed.returncode < 0
    assert len(processes) == 2
    until(lambda: all(map(ended, processes)))
