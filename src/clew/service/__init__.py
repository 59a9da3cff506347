"""Use cases, one function each, over what ``wiring`` puts together. Edges (CLI, API) parse, call one of these, and present.

Belongs here: settings (read in ``settings.py`` alone), the one composition root (``wiring.py``), use cases, their result types.
Never here: rules of the core, printing, HTTP, argument parsing.
"""
