"""Tables of the SQLite log.

``docs`` is the log: rows are added, and only compaction takes any away. ``cur`` is derived from it: the live version of each
document, in order of writing. ``attached`` has each version's vectors that were made later, the newest of each embedder.
Small columns come first: SQLite then reads them without the pages that a long text or a vector spills into.
"""

APPLICATION = 0x436C6378
"""SQLite application id ("Clcx"): tells a log of documents from any other database."""
VERSION = 2
_ATTACHED = """\
CREATE TABLE attached (
  m INTEGER PRIMARY KEY AUTOINCREMENT,
  n INTEGER NOT NULL,
  embedder TEXT NOT NULL,
  vector BLOB NOT NULL
);
CREATE UNIQUE INDEX attached_n ON attached(n, embedder);
CREATE INDEX attached_embedder ON attached(embedder, m);
"""
TABLES = f"""
CREATE TABLE docs (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  parent INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  at INTEGER NOT NULL,
  embedder TEXT NOT NULL,
  origin TEXT NOT NULL,
  meta TEXT NOT NULL,
  relations TEXT NOT NULL,
  vector BLOB NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX docs_id ON docs(id);
CREATE TABLE cur (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  at INTEGER NOT NULL
);
{_ATTACHED}CREATE TABLE labels (
  name TEXT PRIMARY KEY,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX labels_n ON labels(n);
CREATE TABLE totals (
  live INTEGER NOT NULL,
  size INTEGER NOT NULL,
  floor INTEGER NOT NULL
);
INSERT INTO totals VALUES (0, 0, 0);
"""  # noqa: S608 - of constants
_COPIED = "INSERT INTO attached SELECT * FROM old;\nDROP TABLE old;\n"
OLDER = {1: f"ALTER TABLE attached RENAME TO old;\n{_ATTACHED}{_COPIED}"}
"""Schema -> what makes the next one of it."""
