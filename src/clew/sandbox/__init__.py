"""Sandbox drivers: the surroundings in which code that nobody has checked may run.

Here belong backends behind ``gate.ports.sandbox``: what confines, what limits, and what proves that it does.
``native`` is the engine's side (``launch`` and ``wire`` with it); ``runner`` is a program of its own that lives between
the engine and the command; ``languages`` turns code into requests, with ``programs`` that run inside.
Whatever cannot be set up completely is refused: nothing here ever runs a command unconfined.
Never here: what is run and why (tools, agents), policies, anything that would need an installation.
"""
