"""The journal in memory: the same port for tests and runs that need not survive. Hashes are computed when asked for.

Never here: durability, other processes, or a rule that the SQLite journal does not keep (one contract suite holds both).
"""
