import os
import time

from harness import LANDLOCK, breach, held

block = bytes(1 << 20)


def fill(folder, most):
    written = 0
    files = []
    try:
        for number in range(400):
            file = open(f"{folder}/{number}", "wb", buffering=0)
            files.append(file)
            if not LANDLOCK:
                os.unlink(f"{folder}/{number}")  # unlinked and open: no tree walk would find it
            for _ in range(64):
                written += file.write(block)
                if written > most and not LANDLOCK:
                    breach(f"{folder} takes more than {most} bytes")
    except OSError:
        pass
    for file in files:
        file.close()


fill(".", 64 << 20)
if LANDLOCK:  # no limit but the scan, which kills: it must come within this time
    time.sleep(10)
fill("/tmp", 64 << 20)
fill("/dev/shm", 64 << 20)
try:
    for number in range(100_000):
        open(f"inode{number}", "w").close()
except OSError:
    held()
breach("100000 files")
