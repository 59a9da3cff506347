import os

from harness import LANDLOCK, breach, held, seen

for name in (
    "sys",
    "kcore",
    "kmsg",
    "sysrq-trigger",
    "keys",
    "kallsyms",
    "net",
    "bus",
    "fs",
    "timer_list",
    "config.gz",
):
    if seen(f"/proc/{name}") and (LANDLOCK or name != "net"):
        breach(f"/proc/{name}")
if LANDLOCK:
    if any(seen(f"/proc/{name}") for name in ("", "1", "self", f"{os.getppid()}/environ", "self/maps")):
        breach("reads /proc")
    held()
pids = [name for name in os.listdir("/proc") if name.isdigit()]
if len(pids) > 2:
    breach(f"sees processes {pids}")
if os.getpid() > 10:
    breach(f"pid {os.getpid()} is the host's")
held()
