import os
import signal

from harness import breach, held

target = int(os.environ["HOST_PID"])
for pid in (target, -target):
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except OSError:
            continue
        breach(f"signal {number} to {pid}")
try:
    signal.pidfd_send_signal(os.pidfd_open(target), signal.SIGKILL)
except OSError:
    pass
else:
    breach("pidfd")
held()
