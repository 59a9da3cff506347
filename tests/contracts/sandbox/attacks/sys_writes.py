import os

from harness import breach, held

for path in (
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/kernel/mm/ksm/run",
    "/sys/power/state",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/kernel/modprobe",
    "/proc/sysrq-trigger",
    "/proc/1/oom_score_adj",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/proc/self/setgroups",
    "/proc/self/loginuid",
    "/proc/1/mem",
):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        continue
    try:
        with open(path, "w") as file:
            file.write("0")
    except OSError:
        continue
    breach(path)
held()
