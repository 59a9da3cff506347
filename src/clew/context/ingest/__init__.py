"""Files into documents: what kind a file is, its text, and pieces of it that can be found and shown by themselves.

Belongs here: one reader per kind (``readers``), cutting (``pieces``), walking a folder (``folders``), JSON lines (``lines``),
what an import did (``report``). A file is material from outside: it is bounded, decoded with care, and never executed or
followed out of its folder.
"""
