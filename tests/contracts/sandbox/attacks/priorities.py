import os

from harness import breach, held

for attempt in (
    lambda: os.nice(-1),
    lambda: os.setpriority(os.PRIO_PROCESS, 1, -20),
    lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    lambda: os.sched_setscheduler(int(os.environ["HOST_PID"]), os.SCHED_IDLE, os.sched_param(0)),
    lambda: os.setpriority(os.PRIO_PROCESS, int(os.environ["HOST_PID"]), 19),
    lambda: os.sched_setaffinity(int(os.environ["HOST_PID"]), {0}),
):
    try:
        attempt()
    except OSError:
        continue
    breach("changed a priority")
held()
