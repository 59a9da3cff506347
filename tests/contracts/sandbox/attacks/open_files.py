import os

from harness import breach, held

made = []
try:
    while len(made) < 5000:
        made.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    held()
breach(f"{len(made)} open files")
