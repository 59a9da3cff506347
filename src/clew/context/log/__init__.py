"""The truth of a collection: every version of every document, in the order in which they were written.

Belongs here: the ``Log`` protocol (``port``), the rules that all backends share as pure functions (``rules``), and one module
per backend (``sqlite``, ``jsonl``) with what only it needs. Never here: an index, a search, a merge, or what a text means.
"""
