"""One msgspec Struct for every section of a project and for everything in one.

Belongs here: fields, their types, bounds and docstrings (editor schemas and the reference are generated from them),
and the table of sections. Never here: rules between fields or sections (``check``), defaults of the engine
(``build``). Optional fields are ``None`` unless a default is part of the format. Nothing is imported by this file.
"""
