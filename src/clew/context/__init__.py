"""The context engine: documents in scopes, their versions, and how they are found.

Belongs here: the log of a collection (``log``: the truth, durable and append-only), merges of two writers' versions, what is
derived from the log (rows, dense and sparse index, columns, graph: deleting them loses nothing), search, fusion, windows.
Never here: a journal or a run (an assembled context reaches them as the outcome of an effect), a provider's client (vectors
come in through the gate), a clock (times are parameters), chance (seeds are fixed). What is derived is never the truth.
"""
