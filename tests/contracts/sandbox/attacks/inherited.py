import os

from harness import LANDLOCK, breach, held

if LANDLOCK:
    for fd in range(3, 70_000):
        try:
            os.fstat(fd)
        except OSError:
            continue
        breach(f"descriptor {fd}")
    held()
fds = os.listdir("/proc/self/fd")
alive = []
for fd in fds:
    try:
        alive.append((int(fd), os.readlink(f"/proc/self/fd/{fd}")))
    except OSError:
        continue
if any(fd > 2 and not target.startswith("/proc/") for fd, target in alive):
    breach(f"descriptors {alive}")
if any(not target.startswith("pipe:") for fd, target in alive if fd <= 2):
    breach(f"standard streams {alive}")
allowed = {
    "PATH",
    "HOME",
    "LANG",
    "LC_CTYPE",
    "MOUNTED",
    "HOST_PID",
    "HOST_PORT",
    "HOST_SOCKET",
    "HOST_ABSTRACT",
    "TIER",
}
if set(os.environ) - allowed:
    breach(f"environment {sorted(os.environ)}")
if os.getsid(0) != os.getpid():
    breach("in somebody's session")
held()
