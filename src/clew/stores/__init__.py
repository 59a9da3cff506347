"""Journal drivers: where events, payloads and blobs lie.

Belongs here: one package per store (``sqlite``, ``memory``), and what they share as pure functions: chain and ledger
checks (``audit``), the run list's fold (``runcard``), projections, the bundle file, retention.
Never here: what an event means for a run (that is the core's), a policy, or a decision about a workflow. Only this
layer knows SQL; readers go through the port (``clew.gate.ports.journal``).
"""
