"""What the process was forked from may be readable here, but nothing of it may work."""

import gc
import os
import socket
import sys

from harness import breach, held

for thing in gc.get_objects():
    if isinstance(thing, socket.socket) and thing.fileno() >= 0:
        try:
            thing.send(b"x")
        except OSError:
            continue
        breach(f"a socket of the runner: {thing}")
frame = sys._getframe()
while frame := frame.f_back:
    for name, value in list(frame.f_locals.items()):
        if type(value) is int and 2 < value < 1000:
            try:
                os.fstat(value)
            except OSError:
                continue
            breach(f"{name} is an open descriptor")
for name in ("runner.kernel", "runner.root", "runner.identity"):
    module = sys.modules.get(name)
    for attempt in (
        lambda module=module: module.mount("none", "/tmp", "tmpfs", 0),
        lambda module=module: module.unshare(0x10000000),
        lambda module=module: module.enter_mount_namespace(),
    ):
        try:
            attempt()
        except Exception:
            continue
        breach(name)
held()
