"""The command line: parse, call a service, present. No decisions.

Belongs here: the command table and one module per command, options, JSON documents (``shapes``), what people read on a
terminal, signals, exit codes. Never here: rules of the engine, journal access past a service, settings. Importing this package
loads click and nothing of the engine; a command's module is loaded when the command is used.
"""

from clew.cli.app import main

__all__ = ["main"]
