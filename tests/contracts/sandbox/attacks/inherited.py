import os

from harness import breach, held

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
allowed = {"PATH", "HOME", "LANG", "LC_CTYPE", "MOUNTED"}
if set(os.environ) - allowed:
    breach(f"environment {sorted(os.environ)}")
if os.getsid(0) != os.getpid():
    breach("in somebody's session")
held()
