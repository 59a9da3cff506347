import os

from harness import breach, held, seen

KNOWN = {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm"}
try:
    extra = set(os.listdir("/dev")) - KNOWN
except PermissionError:
    extra = {name for name in ("sda", "mem", "kmsg", "tty", "ptmx", "kvm", "fuse", "shm") if seen(f"/dev/{name}")}
if extra:
    breach(f"/dev holds {extra}")
for attempt in (
    lambda: os.unlink("/dev/null"),
    lambda: os.rename("/dev/null", "/dev/none"),
    lambda: os.symlink("/etc/passwd", "/dev/link"),
    lambda: os.truncate("/dev/null", 1),
    lambda: os.chown("/dev/null", 1000, 1000),
    lambda: os.utime("/dev/null"),
    lambda: os.setxattr("/dev/null", "user.x", b"x"),
    lambda: os.mkfifo("/dev/pipe"),
):
    try:
        attempt()
    except OSError:
        continue
    breach("changed /dev")
held()
