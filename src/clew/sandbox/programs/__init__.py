"""Programs that are put into a workspace and run there: standard library alone, nothing of clew can be imported.

Here belongs what turns a language without an interpreter of its own on the command line into a script.
Never here: anything that is imported by the engine.
"""
