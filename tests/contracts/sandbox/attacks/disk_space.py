import os

from harness import breach, held

block = bytes(1 << 20)


def fill(folder, most):
    written = 0
    files = []
    try:
        for number in range(400):
            file = open(f"{folder}/{number}", "wb", buffering=0)
            files.append(file)
            os.unlink(f"{folder}/{number}")  # unlinked and open: no tree walk would find it
            for _ in range(64):
                written += file.write(block)
                if written > most:
                    breach(f"{folder} takes more than {most} bytes")
    except OSError:
        pass
    for file in files:
        file.close()


fill("/workspace", 64 << 20)
fill("/tmp", 64 << 20)
fill("/dev/shm", 64 << 20)
try:
    for number in range(100_000):
        open(f"/workspace/inode{number}", "w").close()
except OSError:
    held()
breach("100000 files")
