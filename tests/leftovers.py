"""Ends the processes that a test process left behind.

Every process that is started by a test inherits a variable of the environment. A process beside the tests waits for the
end of a pipe that only the test process holds, which the system closes however that process ends, and then kills all
that carry the variable and all that descend from them: some clear their environment. On systems without /proc it finds
none.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

VARIABLE = "TEST_RUN_OF_SEPTET"


class Leftovers:
    """A context manager around the tests of a process."""

    def __enter__(self) -> Self:
        run = secrets.token_hex(8)
        # It is started before the variable is set, so that it does not end itself.
        self._watcher = subprocess.Popen(
            [sys.executable, "-S", __file__, run], stdin=subprocess.PIPE, start_new_session=True
        )
        os.environ[VARIABLE] = run
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del os.environ[VARIABLE]
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()


def of_run(run: str) -> set[int]:
    """The processes that carry the variable of this run, and those that descend from them."""
    wanted = f"{VARIABLE}={run}".encode()
    found: set[int] = set()
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            process = int(folder.name)
            # Its parent stands behind its name, which is in brackets and may hold anything.
            parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(process)
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.add(process)
    unseen = list(found)
    while unseen:
        born = set(children.get(unseen.pop(), ())) - found
        found |= born
        unseen += born
    return found


def main(run: str) -> None:
    """Wait for the end of standard input, then kill what is left of the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    while left := of_run(run):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
