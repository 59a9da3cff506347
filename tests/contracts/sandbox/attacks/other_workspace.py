import glob
import os

from harness import breach, held

SECRET = "the-neighbours-secret"
for pattern in (
    "/proc/[0-9]*/root",
    "/proc/[0-9]*/cwd",
    "/proc/[0-9]*/fd/*",
    "/tmp/*",
    "/dev/shm/*",
    "/workspace/../*",
):
    for path in glob.glob(pattern):
        for name in (SECRET, f"workspace/{SECRET}", f"../{SECRET}", f"../workspace/{SECRET}"):
            if os.path.lexists(f"{path}/{name}"):
                breach(f"{path}/{name}")
for number in range(3, 256):
    if os.path.exists(f"/proc/self/fd/{number}/{SECRET}"):
        breach(f"descriptor {number}")
for proc in glob.glob("/proc/[0-9]*/mountinfo"):
    try:
        with open(proc) as file:
            text = file.read()
    except OSError:
        continue
    if text.count(" /workspace ") > 1:
        breach("sees another workspace mounted")
held()
