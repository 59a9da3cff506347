"""Merging what two writers made of the same version: nothing that one of them wrote is lost without a reported conflict.

Belongs here: pure functions over texts (``lines``) and JSON (``keys``), and ``document``, which applies both to a document of a
log. Never here: a model (an agent that settles conflicts comes in as a callable), a clock, or a policy about who wins.
"""
