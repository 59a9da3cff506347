"""The default journal: one SQLite file in WAL mode with ``synchronous=FULL``, for one machine and local file systems.

Belongs here: the connection and its guarantees, transactions, claims by operating-system locks, numbered migrations
(``sql/NNN_*.sql``, never edited once released). Never here: SQL built from outside text; every name that gets into a
statement is checked against what is registered.
"""
