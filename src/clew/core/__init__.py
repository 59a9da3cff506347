"""The pure core: facts in, intents out.

Belongs here: what a run *is* (graph, facts, states, routing, scopes) and the rules by which facts change it.
Never here: a clock, randomness, files, asyncio, logging, or a name from a layer above. Standard library and msgspec
only. State is assigned in ``states.py`` alone; an absent table cell raises ``IllegalMove``.
"""
