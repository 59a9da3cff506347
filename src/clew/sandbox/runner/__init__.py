"""The runner: a process of its own, single-threaded, that builds the surroundings and starts commands in them.

Here belongs what runs between the engine and the hostile command: namespaces, mounts, filter, limits, watchdog.
It is started with ``python -I -S -E`` and an empty environment, so nothing here may import anything but the
standard library and its neighbours (relative imports), and everything must be imported before the root changes.
Its start is part of every sandbox's: dataclasses, inspect, shutil and other slow imports are left out.
Never here: asyncio, threads, msgspec, knowledge of tools or runs.
"""
