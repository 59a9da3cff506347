"""Manifests: the text of a project becomes validated models with positions, and those become a Plan with a digest.

Belongs here: reading YAML and JSON (``read``, ``sources``), the models of every section (``models``), checking shape
(``shape``) and meaning (``check`` and its parts), compiling (``build``), comparing, drawing and scaffolding Plans.
Never here: running anything, importing a project's handlers, settings, network, clocks. Only ``clew.core`` may be
imported from inside Clew. Nothing is imported by this file.
"""
