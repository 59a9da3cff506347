"""What runs inside the sandbox, on the repository's own interpreter and with its own pytest.

Belongs here: scripts that need nothing but the standard library (3.8 and later) and pytest.
Never here: an import of Clew or of any other package, or a decision about what to try next; the host decides.
``start.py`` is the entry: it loads this folder as a package of a private name, so that no module of the
repository can be shadowed by one of ours.
"""
