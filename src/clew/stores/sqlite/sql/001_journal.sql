-- Runs are numbered (id) so that rows stay small. Rows of events and payloads lie in order of arrival (n); each event names
-- the one before it in its run (prev), the run's line names the last. So a commit of a hundred runs writes to the end of
-- three tables and to no index, and costs the same however many runs are stored. Hashes and digests are 32 raw bytes. PostgreSQL: same tables, bigint identity.

CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL UNIQUE,
  seq INTEGER NOT NULL,              -- head: the last event
  last INTEGER NOT NULL,             -- its n
  hash BLOB NOT NULL,
  updated INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  status TEXT,
  cost INTEGER NOT NULL,             -- picodollars
  created INTEGER NOT NULL,
  born INTEGER NOT NULL,             -- its first row in the ledger
  workflow TEXT NOT NULL,
  plan TEXT NOT NULL,
  parent TEXT NOT NULL,
  fork_of TEXT NOT NULL,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  idempotency TEXT NOT NULL
);
CREATE INDEX runs_open ON runs(state) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX runs_parent ON runs(parent) WHERE parent <> '';
CREATE UNIQUE INDEX runs_idempotency ON runs(tenant, idempotency) WHERE idempotency <> '';
CREATE INDEX runs_plan ON runs(plan);

CREATE TABLE events (
  n INTEGER PRIMARY KEY,
  prev INTEGER NOT NULL,             -- n of the event before it in this run; 0: none
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  envelope TEXT NOT NULL,            -- {"seq", "at", "fact": {"type", ...}}
  digest BLOB NOT NULL,              -- salted digest of the payload; empty: no payload
  hash BLOB NOT NULL                 -- chain over the run
);

CREATE TABLE payloads (
  n INTEGER PRIMARY KEY,             -- of its event
  salt BLOB NOT NULL,
  body TEXT,                         -- JSON; NULL: in the blob
  blob BLOB
);
CREATE INDEX payloads_blob ON payloads(blob) WHERE blob IS NOT NULL;

CREATE TABLE blobs (
  id INTEGER PRIMARY KEY,
  address BLOB NOT NULL UNIQUE,      -- SHA-256 of data
  size INTEGER NOT NULL,
  data BLOB NOT NULL
);

CREATE TABLE inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL
);
CREATE INDEX inbox_run ON inbox(run);

CREATE TABLE ledger (
  n INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,              -- head of the run when this row was written
  event INTEGER NOT NULL,            -- its n
  hash BLOB NOT NULL,
  chain BLOB NOT NULL,
  note TEXT                          -- {"erased": [seq, ...]} or {"imported": true, ...}
);

CREATE TABLE projections (
  name TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  upto INTEGER NOT NULL              -- lazy ones: the last event (n) they have seen
) WITHOUT ROWID;

-- For readers: `SELECT * FROM history WHERE run = ...` in any SQLite shell. A view, since computed columns would be
-- computed on every insert.
CREATE VIEW history AS
SELECT
  r.run AS run,
  e.seq AS seq,
  json_extract(e.envelope, '$.fact.type') AS type,
  json_extract(e.envelope, '$.at') AS at,
  json_extract(e.envelope, '$.fact.task') AS task,
  json_extract(e.envelope, '$.fact.node') AS node,
  json_extract(e.envelope, '$.fact.key') AS key,
  e.envelope AS envelope,
  coalesce(p.body, CAST(b.data AS TEXT)) AS payload,
  lower(hex(e.digest)) AS digest,
  lower(hex(e.hash)) AS hash
FROM runs r
JOIN events e ON e.run = r.id
LEFT JOIN payloads p ON p.n = e.n
LEFT JOIN blobs b ON b.address = p.blob;
