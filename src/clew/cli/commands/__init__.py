"""One module per command, each with a ``command``. Loaded through ``clew.cli.table`` when the command is used.

Belongs here: options, one call of a service, the answer as JSON or for people. Never here: anything that two commands share.
"""
