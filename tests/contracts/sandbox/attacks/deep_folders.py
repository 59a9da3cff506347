import os

from harness import breach, held

made = 0
try:
    while made < 200_000:
        os.mkdir("d")
        os.chdir("d")
        made += 1
except OSError:
    held()
breach(f"{made} folders in each other")
