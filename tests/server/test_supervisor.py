import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from septet.errors import StartupError
from septet.monitoring.metrics_layout import MetricsLayout
from septet.server.supervisor import SupervisionPolicy, supervise
from tests.server.services.lines import NoFiles
from tests.waiting import until

SCRIPT = Path(__file__).parent / "services" / "lines.py"
ROOT = Path(__file__).parents[2]


class Served:
    """A started pool of workers, and what it has logged."""

    def __init__(self, folder: Path, *, workers: int, hang: float, grace: float, behaviour: str) -> None:
        self.behaviour = folder / "behaviour"
        self.behaviour.write_text(behaviour)
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(workers), str(hang), str(grace), str(self.behaviour)],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))},
            )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(f"{command}\n".encode())
            with connection.makefile() as answer:
                return answer.readline().strip()

    def pids(self) -> set[int]:
        """The workers that answered within some questions."""
        return {int(self.ask("pid")) for _ in range(12)}

    def wait_until_ready(self) -> None:
        until(lambda: "all ready" in self.log)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def pools(tmp_path: Path) -> Iterator["Pools"]:
    pools = Pools(tmp_path)
    yield pools
    for served in pools.started:
        served.process.terminate()
        try:
            served.process.wait(60)
        except subprocess.TimeoutExpired:
            served.process.kill()
            served.process.wait()
        assert served.process.stdout is not None
        served.process.stdout.close()


class Pools:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[Served] = []

    def start(self, *, workers: int = 2, hang: float = 60, grace: float = 5, behaviour: str = "work") -> Served:
        served = Served(self._folder, workers=workers, hang=hang, grace=grace, behaviour=behaviour)
        self.started.append(served)
        return served


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # gone in this moment, or a system without such files
        return not Path("/proc/self").exists()


def both_pids(served: Served) -> set[int]:
    return until(lambda: pids if len(pids := served.pids()) == 2 else None) or set()


def test_a_killed_worker_is_replaced_while_the_others_answer(pools: Pools) -> None:
    served = pools.start()
    served.wait_until_ready()
    victim, other = both_pids(served)

    os.kill(victim, signal.SIGKILL)

    until(lambda: not alive(victim))
    assert int(served.ask("pid")) != victim
    after = until(lambda: pids if len(pids := served.pids()) == 2 and victim not in pids else None)
    assert other in (after or ())
    assert f"process {victim}) was ended by signal 9" in served.log


def test_counters_survive_the_worker_that_counted(pools: Pools) -> None:
    served = pools.start()
    served.wait_until_ready()
    victim, _ = both_pids(served)
    counted, restarts, _ = map(int, served.ask("count").split())
    assert restarts == 0

    os.kill(victim, signal.SIGKILL)
    until(lambda: served.ask("count").split()[1] == "1")

    assert int(served.ask("count").split()[0]) > counted


def test_a_worker_that_ends_well_is_replaced_and_not_counted_as_a_crash(pools: Pools) -> None:
    served = pools.start()
    served.wait_until_ready()
    before = both_pids(served)

    leaver = int(served.ask("leave"))

    until(lambda: len(pids := served.pids()) == 2 and pids != before and leaver not in pids)
    assert served.ask("count").split()[1] == "0"


def test_a_model_that_cannot_be_served_is_reported_once(pools: Pools) -> None:
    served = pools.start(workers=3, behaviour="refuse")

    assert served.process.wait(60) == 2
    assert served.log.count("the model is broken") == 1


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("die", "exited with code 3 before it was ready"),
        ("raise", "ValueError: a defect"),
        ("exit", "exited with code 4 before it was ready"),
    ],
)
def test_workers_that_die_before_they_are_ready_end_the_server(pools: Pools, behaviour: str, said: str) -> None:
    served = pools.start(behaviour=behaviour)

    assert served.process.wait(60) == 1
    assert "giving up: 5 workers in a row died before they were ready" in served.log
    assert said in served.log


def test_termination_finishes_requests_and_exits_with_zero(pools: Pools) -> None:
    served = pools.start()
    served.wait_until_ready()
    answers: list[str] = []
    asking = [threading.Thread(target=lambda: answers.append(served.ask("slow"))) for _ in range(8)]
    for thread in asking:
        thread.start()
    until(lambda: served.ask("count").split()[2] == "8")

    code = served.end()

    for thread in asking:
        thread.join()
    assert code == 0
    assert len(answers) == 8
    assert all(answers)


def test_a_worker_that_does_not_leave_is_killed_after_its_time(pools: Pools) -> None:
    served = pools.start(workers=1, grace=0.1)
    served.wait_until_ready()
    pid = int(served.ask("pid"))
    assert served.ask("stick") == "stuck"

    assert served.end() == 1
    assert not alive(pid)


def test_a_second_interrupt_ends_at_once(pools: Pools) -> None:
    served = pools.start(workers=1, grace=3600)
    served.wait_until_ready()
    with socket.create_connection(("127.0.0.1", served.port)) as waiting:
        served.ask("pid")
        served.process.send_signal(signal.SIGINT)
        until(lambda: refused(served.port))

        served.process.send_signal(signal.SIGINT)

        assert served.process.wait(60) == 130
        assert waiting.recv(1) == b""


def test_no_worker_is_renewed_when_the_end_has_begun(pools: Pools) -> None:
    served = pools.start(workers=1)
    served.wait_until_ready()
    # Both reach the parent in one turn.
    served.process.send_signal(signal.SIGSTOP)
    served.ask("renew")
    served.process.send_signal(signal.SIGTERM)

    served.process.send_signal(signal.SIGCONT)

    assert served.process.wait(60) == 0, served.log
    assert "did not finish in time" not in served.log


def test_a_worker_that_cannot_be_renewed_is_told_of_once(pools: Pools) -> None:
    served = pools.start(workers=1)
    served.wait_until_ready()
    served.behaviour.write_text("refuse")
    served.ask("renew")
    until(lambda: "renewal abandoned" in served.log)

    pid = served.ask("renew")
    until(lambda: served.ask("renew") and served.log.count("renewal abandoned") > 1)
    assert served.log.count("renewing it") == 1
    served.behaviour.write_text("work")

    until(lambda: served.ask("renew") != pid)
    assert served.end() == 0, served.log


def test_no_worker_outlives_a_killed_parent(pools: Pools) -> None:
    served = pools.start()
    served.wait_until_ready()
    pids = both_pids(served)

    served.process.kill()

    until(lambda: not any(alive(pid) for pid in pids))
    until(lambda: refused(served.port))


def test_a_worker_that_stands_still_is_replaced(pools: Pools) -> None:
    served = pools.start(workers=1, hang=0.5)
    served.wait_until_ready()
    pid = int(served.ask("pid"))

    assert served.ask("stick") == "stuck"

    assert until(lambda: int(served.ask("pid"))) != pid
    assert "stood still and was killed" in served.log


def test_a_worker_of_jobs_may_stand_still_for_longer() -> None:
    policy = SupervisionPolicy(4, 5.0, hang_seconds=60.0, patient=2, patient_seconds=3600.0)
    assert [policy.hang_seconds_of(index) for index in range(4)] == [60.0, 60.0, 3600.0, 3600.0]


def test_a_system_without_processes_to_spare_is_waited_for(pools: Pools) -> None:
    served = pools.start(behaviour="crowded")

    served.wait_until_ready()

    assert "cannot be started now" in served.log
    assert served.end() == 0


def test_on_a_system_that_cannot_fork_an_application_for_other_servers_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(StartupError, match=r"septet\.asgi"):
        supervise(
            lambda _: 0,
            lambda: None,
            sockets=[],
            layout=MetricsLayout([], []),
            policy=SupervisionPolicy(2, 1.0),
            files=NoFiles(),
        )


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return True
    return False
