"""The runner: a process of its own, single-threaded, that builds the surroundings and starts commands in them.

Here belongs what runs between the engine and the hostile command: namespaces, mounts, filter, limits, watchdog.
It is started once per engine, without site-packages and environment, so nothing here may import anything but the
standard library and its neighbours (relative imports), and everything must be imported before the root changes.
``forkserver`` forks ``server`` (one sandbox), that forks ``supervisor`` (one command), that forks ``child`` (the two
processes inside). A fork pays for every page it touches: what a child needs is made before it is forked.
Never here: asyncio, threads, msgspec, knowledge of tools or runs.
"""
