import os
import signal
import time

from harness import breach, held

made = 0
try:
    while made < 200:
        if os.fork() == 0:
            signal.pause()
        made += 1
except OSError:
    pass
if made > 32:
    time.sleep(1)  # where a watchdog looks, more may live for a moment
    breach(f"{made} processes at once")
held()
