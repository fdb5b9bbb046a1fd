"""Sends jobs from one process as fast as it can, and prints how many in how many seconds.

`python NAME_jobs.py COUNT SECONDS AT_ONCE`: `COUNT` jobs, or for so many seconds where that is 0, from `AT_ONCE` threads
or coroutines.
"""

import asyncio
import json
import sys
import threading
import time

ROW = [[5.1, 3.5, 1.4, 0.2]]
COUNT, SECONDS, AT_ONCE = (int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])) if len(sys.argv) == 4 else (0, 0, 0)


class Share:
    """What one thread or coroutine has sent of its part."""

    def __init__(self, part: int, until: float) -> None:
        self.part, self.until, self.sent = part, until, 0

    def more(self) -> bool:
        if self.sent >= self.part if self.part else time.perf_counter() >= self.until:
            return False
        self.sent += 1
        return True


def shares(begun: float) -> list[Share]:
    return [Share(len(range(index, COUNT, AT_ONCE)), begun + SECONDS) for index in range(AT_ONCE)]


def send_all(send) -> None:
    send(ROW)  # connections are made by the first
    begun = time.perf_counter()
    taken = shares(begun)

    def run(share: Share) -> None:
        while share.more():
            send(ROW)

    threads = [threading.Thread(target=run, args=(each,)) for each in taken[1:]]
    for each in threads:
        each.start()
    run(taken[0])
    for each in threads:
        each.join()
    report(taken, begun)


async def send_all_async(send) -> None:
    await send(ROW)
    begun = time.perf_counter()
    taken = shares(begun)

    async def run(share: Share) -> None:
        while share.more():
            await send(ROW)

    await asyncio.gather(*map(run, taken))
    report(taken, begun)


def report(taken: list[Share], begun: float) -> None:
    seconds = time.perf_counter() - begun
    # The first one is among those that are to be ended.
    print(json.dumps({"count": sum(each.sent for each in taken), "seconds": seconds, "all": 1 + sum(each.sent for each in taken)}))
