"""Sends jobs from one process as fast as it can, and prints how many in how many seconds.

`python job_sending.py MODULE COUNT SECONDS AT_ONCE`: `COUNT` jobs, or for so many seconds where that is 0, from
`AT_ONCE` threads or coroutines.
"""

import asyncio
import importlib
import json
import sys
import threading
import time

ROW = [[5.1, 3.5, 1.4, 0.2]]


class Share:
    """What one thread or coroutine has sent of its part."""

    def __init__(self, part: int, until: float) -> None:
        self.part, self.until, self.sent = part, until, 0

    def more(self) -> bool:
        if self.sent >= self.part if self.part else time.perf_counter() >= self.until:
            return False
        self.sent += 1
        return True


class Sending:
    """What is to be sent. The first job is sent before, since connections are made by it."""

    def __init__(self, count: int, seconds: float, at_once: int) -> None:
        self.count, self.seconds, self.at_once = count, seconds, at_once

    def threads(self, send) -> None:
        send(ROW)
        begun, shares = time.perf_counter(), self._shares()

        def run(share: Share) -> None:
            while share.more():
                send(ROW)

        threads = [threading.Thread(target=run, args=(each,)) for each in shares[1:]]
        for each in threads:
            each.start()
        run(shares[0])
        for each in threads:
            each.join()
        _report(shares, begun)

    async def coroutines(self, send) -> None:
        await send(ROW)
        begun, shares = time.perf_counter(), self._shares()

        async def run(share: Share) -> None:
            while share.more():
                await send(ROW)

        await asyncio.gather(*map(run, shares))
        _report(shares, begun)

    def _shares(self) -> list[Share]:
        until = time.perf_counter() + self.seconds
        return [Share(len(range(index, self.count, self.at_once)), until) for index in range(self.at_once)]


def _report(shares: list[Share], begun: float) -> None:
    seconds, count = time.perf_counter() - begun, sum(each.sent for each in shares)
    print(json.dumps({"count": count, "seconds": seconds, "all": count + 1}))


if __name__ == "__main__":
    module, count, seconds, at_once = sys.argv[1:]
    importlib.import_module(module).send_jobs(Sending(int(count), float(seconds), int(at_once)))
