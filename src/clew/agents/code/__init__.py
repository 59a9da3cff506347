"""Code agents. So far: offline repair of a failing test suite by localising the fault and searching small mutations.

Belongs here: what can be decided about code without touching the world (localisation, mutations, order of search,
diffs), the scripts that run inside the sandbox (``runner``), and ``jobs``: the few functions that do touch the world,
through a sandbox backend they are given. Never here: a driver, a model client, or an edit of a user's tree
that was not asked for. Reading order: ``jobs``, ``localise``, ``mutate``, ``search``, ``runner/session``, ``runner/batch``.
"""
