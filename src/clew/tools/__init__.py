"""Tool drivers: what agents and handlers may call.

Here belong argument validation, confinement to a root, the built-in tools and clients of tool servers.
A tool gets arguments that fit its schema, touches nothing outside its root, bounds what it returns, and fails with a
``Failure`` whose code is stable and whose message an agent can correct itself by.
Never here: policies and approval (they stand in front of the gate), journaling, knowledge of runs.
"""
