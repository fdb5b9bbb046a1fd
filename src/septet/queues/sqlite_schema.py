"""The tables of the embedded store of jobs, and how a file becomes one.

`jobs` has what changes, `requests` and `replies` what is written once, so no change of a state rewrites a body. All
partial indices leave out what they are not asked for: what a step reads does not grow with the number of jobs.
"""

from typing import Final

#: The layout below. A file of another one is refused.
SCHEMA_VERSION: Final = 1
#: Marks the file as Septet's in its header ("SEPT").
APPLICATION_ID: Final = 0x53455054

#: Creates everything in an empty file.
SCHEMA: Final = f"""
-- later: it waited for its time when somebody last looked; behind: an earlier job of its key has not ended.
CREATE TABLE jobs (
  place INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  model TEXT NOT NULL,
  caller TEXT,
  idempotency TEXT,
  request_digest BLOB,
  key TEXT,
  rank REAL NOT NULL,
  submitted_at REAL NOT NULL,
  begin_by REAL,
  body_bytes INTEGER NOT NULL,
  behind INTEGER NOT NULL,
  later INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',
  due_at REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  worker TEXT,
  started_at REAL,
  first_started_at REAL,
  ended_at REAL,
  cancelling INTEGER NOT NULL DEFAULT 0,
  progress REAL,
  reason TEXT,
  error TEXT,
  answered_by TEXT,
  reply_bytes INTEGER NOT NULL DEFAULT 0,
  keep_until REAL
);
CREATE INDEX jobs_ready ON jobs (model, rank, place) WHERE state = 'queued' AND later = 0 AND behind = 0;
CREATE INDEX jobs_oldest ON jobs (submitted_at) WHERE state = 'queued' AND later = 0;
CREATE INDEX jobs_timed ON jobs (later, due_at) WHERE state = 'queued' AND due_at > 0;
CREATE INDEX jobs_expiring ON jobs (begin_by) WHERE state = 'queued' AND begin_by IS NOT NULL AND attempts = 0;
CREATE INDEX jobs_running ON jobs (worker, place) WHERE state = 'running';
CREATE INDEX jobs_of_key ON jobs (key, place) WHERE key IS NOT NULL AND (state = 'queued' OR state = 'running');
CREATE INDEX jobs_idempotent ON jobs (idempotency, caller) WHERE idempotency IS NOT NULL;
CREATE INDEX jobs_kept ON jobs (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX jobs_unanswered ON jobs (state, place)
  WHERE state = 'failed' OR state = 'expired' OR state = 'cancelled';
CREATE TABLE requests (place INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE replies (place INTEGER PRIMARY KEY, reply BLOB NOT NULL);
-- Where an id is, by a checksum of it; `recent_ids` is moved to `older_ids` in parts (see sqlite_ids.py).
CREATE TABLE recent_ids (checksum INTEGER, place INTEGER, PRIMARY KEY (checksum, place)) WITHOUT ROWID;
CREATE TABLE older_ids (checksum INTEGER, place INTEGER, PRIMARY KEY (checksum, place)) WITHOUT ROWID;
CREATE TABLE workers (id TEXT PRIMARY KEY, beat INTEGER NOT NULL, since REAL NOT NULL, models TEXT NOT NULL);
CREATE TABLE forgotten (place INTEGER PRIMARY KEY, id TEXT NOT NULL, until REAL NOT NULL);
CREATE INDEX forgotten_until ON forgotten (until);
CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), totals TEXT NOT NULL);
INSERT INTO totals VALUES (1, '{{}}');
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
