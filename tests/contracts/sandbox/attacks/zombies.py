import os
import time

from harness import breach, held

made = 0
try:
    while made < 500:
        if os.fork() == 0:
            os._exit(0)
        made += 1  # never waited for
except OSError:
    pass
if made > 40:
    breach(f"{made} zombies")
time.sleep(0.05)
held()
