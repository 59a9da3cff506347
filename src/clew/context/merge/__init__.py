"""Merging what two writers made of the same version: nothing that one of them wrote is lost without a reported conflict.

Belongs here: pure functions over texts (``lines``) and JSON (``keys``), ``document``, which applies both to a document of a log,
and ``effect``, which does so for a run. Never here: a model (what an agent settled comes in with the request, or as a callable), a
clock, or a policy about who wins.
"""
