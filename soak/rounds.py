"""Rounds of mixed traffic at one server: each ends in silence, in which counts, memory and descriptors are compared."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.process import free_ports
from soak.grpc_traffic import AT_ONCE, GrpcTraffic
from soak.http_traffic import PIPELINED, HttpTraffic
from soak.models import Versions
from soak.tally import EITHER, GRPC, HTTP, Place, Tally
from soak.weight import Weight, weigh
from tests.e2e.process import ServerProcess, children, septet_serve
from tests.waiting import until

HTTP_CLIENTS, GRPC_CLIENTS = 5, 3
#: What all clients may have under way at once: a killed worker takes the counts of at most so many along, those of the
#: turn of the event loop in which it is killed.
MOST_UNDER_WAY = HTTP_CLIENTS * PIPELINED + GRPC_CLIENTS * (AT_ONCE + 1)
#: Memory and descriptors are judged by the rounds behind so many of the first.
WARM_UP = 4
FLAT = 1.05
#: By then nothing is under way: every connection was ended by its client.
REST_SECONDS = 30
_SCRAPE = "/metrics"


@dataclass
class SoakRound:
    """What became of one round."""

    workers: int
    kills: int
    releases: int
    sent: int = 0
    counted: int = 0
    cut: int = 0
    abandoned: int = 0
    incomplete: int = 0
    checked_rows: int = 0
    weight: Weight = field(default_factory=lambda: Weight(0, 0, 0))
    kinds: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class SoakedServer:
    """A server with so many workers, under traffic."""

    def __init__(self, versions: Versions, workers: int, folder: Path) -> None:
        self._versions, self._workers = versions, workers
        port, self._grpc_port = free_ports(2)
        command = septet_serve(versions.paths["1"], "--workers", str(workers), "--grpc-port", str(self._grpc_port))
        self._server = ServerProcess(command, folder / f"server-{workers}.log", port=port)
        self._random = random.Random(workers)
        self._seed = 0

    def run(self, seconds: float, rounds: int) -> list[SoakRound]:
        """So many rounds, every second one with kills; together they last so long."""
        with self._server:
            # It keeps the connection by which it has waited for the server.
            self._server.client.close()
            done = [self._round(seconds / rounds, kills=bool(at % 2)) for at in range(rounds)]
            code = self._server.stop()
            if code:
                done[-1].broken.append(f"it ended with {code}: {self._server.log[-1000:]}")
            if "Traceback" in self._server.log:
                done[-1].broken.append(f"its log has a traceback: {self._server.log.partition('Traceback')[2][:2000]}")
        return done + ([] if rounds <= WARM_UP + 2 else [_flat(done)])

    def _round(self, seconds: float, *, kills: bool) -> SoakRound:
        tally, before, over = Tally(), self._counts(), threading.Event()
        done = SoakRound(self._workers, 0, 0)
        clients: list[HttpTraffic | GrpcTraffic] = [
            HttpTraffic(self._server.port, self._versions, tally, self._next_seed()) for _ in range(HTTP_CLIENTS)
        ]
        clients += [GrpcTraffic(self._grpc_port, self._versions, tally, self._next_seed()) for _ in range(GRPC_CLIENTS)]
        threads = [threading.Thread(target=_repeat, args=(each, over, tally)) for each in clients]
        threads.append(threading.Thread(target=self._release, args=(over, tally, done)))
        if kills:
            threads.append(threading.Thread(target=self._kill, args=(over, seconds, done)))
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        over.set()
        for thread in threads:
            thread.join()
        counted = self._settled(before, done)
        done.sent, done.counted = tally.sent, sum(counted.values())
        done.cut, done.abandoned = tally.cut, tally.abandoned
        done.incomplete, done.checked_rows, done.kinds = tally.incomplete, tally.checked_rows, dict(tally.kinds)
        done.broken += tally.wrong[:20] + tally.compared(counted, lost=done.kills * MOST_UNDER_WAY)
        if tally.cuts and not done.kills:
            done.broken.append(f"{tally.cuts} connections were cut, and nothing was killed")
        done.weight = weigh(self._server.process.pid)
        return done

    def _settled(self, before: Mapping[Place, int], done: SoakRound) -> Mapping[Place, int]:
        """What was counted in this round, once nothing is under way and every worker is there again."""

        def quiet() -> bool:
            gauges = self._page()[1]
            # The connection that asks is one itself, and so is its request.
            busy = max(gauges["septet_in_flight"], gauges["septet_connections"]) > 1
            return not busy and gauges["septet_workers"] == self._workers

        try:
            until(quiet, REST_SECONDS)
        except AssertionError:
            done.broken.append(f"it does not come to rest: {self._page()[1]}")
        after = self._counts()
        return {place: count - before.get(place, 0) for place, count in after.items() if count != before.get(place, 0)}

    def _release(self, over: threading.Event, tally: Tally, done: SoakRound) -> None:
        """The other version, and back, until the round is over; the first version is served at its end."""
        while True:
            for version in ("2", "1"):
                path = str(self._versions.paths[version])
                command = [sys.executable, "-m", "septet", "release", path, "--to", str(self._server.port)]
                answer = subprocess.run(command, capture_output=True, text=True, check=False)
                # A worker that is killed while it loads ends the release, and it is asked for again.
                while answer.returncode and done.kills:
                    answer = subprocess.run(command, capture_output=True, text=True, check=False)
                if answer.returncode:
                    tally.complain(f"release {version}: {answer.stderr}")
                done.releases += 1
            if over.is_set():
                return

    def _kill(self, over: threading.Event, seconds: float, done: SoakRound) -> None:
        """Kill a worker, now and then."""
        pause = max(seconds / 3, 1.0)
        while not over.wait(pause):
            workers = children(self._server.process.pid)
            if len(workers) == self._workers:
                done.kills += 1
                os.kill(self._random.choice(workers), signal.SIGKILL)

    def _counts(self) -> dict[Place, int]:
        return self._page()[0]

    def _page(self) -> tuple[dict[Place, int], dict[str, float]]:
        """Requests by place, scrapes left out, and the gauges."""
        counts: Counter[Place] = Counter()
        gauges: dict[str, float] = {}
        url = f"http://127.0.0.1:{self._server.port}{_SCRAPE}"
        text = until(lambda: _asked(url), 60)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "septet_requests_total":
                    if sample.value and sample.labels["route"] != _SCRAPE:
                        counts[_transport(sample.labels["route"]), sample.labels["code"]] += int(sample.value)
                elif not sample.labels:
                    gauges[sample.name] = sample.value
        return {place: count for place, count in counts.items() if count}, gauges

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed


def _asked(url: str) -> str:
    try:
        return httpx.get(url, timeout=30, trust_env=False).text
    except httpx.TransportError:
        return ""


def _repeat(client: HttpTraffic | GrpcTraffic, over: threading.Event, tally: Tally) -> None:
    try:
        while not over.is_set():
            client.once()
    except Exception as error:  # noqa: BLE001 - the round goes on, and is broken
        tally.complain(f"a client failed: {error!r} {traceback.format_exc()[-400:]}")
    finally:
        client.close()


def _transport(route: str) -> str:
    if route == EITHER:
        return EITHER
    return GRPC if route.startswith(("/inference.", "/grpc.")) else HTTP


def _flat(done: list[SoakRound]) -> SoakRound:
    """Whether memory and descriptors stay what they were behind the warm-up."""
    made = SoakRound(done[0].workers, 0, 0)
    judged = done[WARM_UP:]
    third = max(len(judged) // 3, 1)
    first, last = (_middle([each.weight.megabytes for each in some]) for some in (judged[:third], judged[-third:]))
    made.kinds = {"MB at first": round(first), "MB at last": round(last)}
    if last > first * FLAT:
        made.broken.append(f"memory grows from {first:.1f} to {last:.1f} MB")
    descriptors = [each.weight.descriptors for each in judged]
    if descriptors[-1] > descriptors[0]:
        made.broken.append(f"descriptors grow: {descriptors}")
    return made


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
