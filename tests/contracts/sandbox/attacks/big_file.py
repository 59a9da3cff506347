import os

from harness import breach, held

fd = os.open("big", os.O_WRONLY | os.O_CREAT)
for attempt in (lambda: os.ftruncate(fd, 1 << 40), lambda: os.posix_fallocate(fd, 0, 1 << 34)):
    try:
        attempt()
    except OSError:
        continue
    breach("a file larger than the limit")
held()
