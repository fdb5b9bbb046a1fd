"""A bare loop over SQLite: each transaction stores one job of each of 64 callers, who wait for it. FILE SECONDS."""

import json
import os
import sqlite3
import sys
import time

CALLERS = 64
BODY = b'{"data":[[5.1,3.5,1.4,0.2]]}'

file, seconds = sys.argv[1], float(sys.argv[2])
connection = sqlite3.connect(file, isolation_level=None)
connection.execute("pragma journal_mode=wal")
connection.execute("pragma synchronous=full")
connection.execute("create table job (place integer primary key, id text not null unique, body blob not null, at real)")
begun, count = time.perf_counter(), 0
while time.perf_counter() < begun + seconds:
    connection.execute("begin immediate")
    jobs = [(os.urandom(16).hex(), BODY, time.time()) for _ in range(CALLERS)]
    connection.executemany("insert into job (id, body, at) values (?, ?, ?)", jobs)
    connection.execute("commit")
    count += CALLERS
print(json.dumps({"count": count, "seconds": time.perf_counter() - begun}))
