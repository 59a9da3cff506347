"""The code agents: what each is asked, what it answers, and how it works, with a model or without.

Belongs here: one module per agent with its payload, its result and its body ``async (payload, seat) -> result``; prompts as
files; ``tree``, the repository with changes laid over it, which is how work goes from one agent to the next without anybody's
files being touched. Every result says its ``method``: ``model`` or ``offline``.
Never here: an import of a driver (a body reaches the world through its ``Seat``), a model's client, code of the repository
that runs outside a sandbox. Reading order: ``seat``, ``tree``, ``testexec``, ``codegen``, ``debug``; the table is
``clew.agents.code.registry``.
"""
