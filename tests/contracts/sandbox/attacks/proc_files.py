import os

from harness import breach, held

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
    if os.path.lexists(f"/proc/{name}") and name != "net":
        breach(f"/proc/{name}")
pids = [name for name in os.listdir("/proc") if name.isdigit()]
if len(pids) > 2:
    breach(f"sees processes {pids}")
if os.getpid() > 10:
    breach(f"pid {os.getpid()} is the host's")
held()
