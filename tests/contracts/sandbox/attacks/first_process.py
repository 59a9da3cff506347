import os
import resource
import signal

from harness import breach, held

for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        continue
for attempt in (
    lambda: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0)),
    lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0)),
    lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    lambda: resource.prlimit(0, resource.RLIMIT_CORE, (0, 0)),
    lambda: os.listdir("/proc/1/fd") and os.open("/proc/1/fd/3", os.O_WRONLY),
    lambda: os.chdir("/proc/1/root") or os.chdir("/proc/1/cwd"),
):
    try:
        attempt()
    except (OSError, ValueError):
        continue
    breach("reached the first process")
if signal.SIGKILL and os.path.isdir("/proc/1"):
    held()
breach("the first process is gone")
