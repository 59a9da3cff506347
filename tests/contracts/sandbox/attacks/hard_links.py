import os

from harness import breach, held

for source in ("/etc/passwd", "/usr/bin/env", "/etc/shadow", "/proc/self/exe", "/dev/null", "/proc/1/exe"):
    for target in ("link", "/workspace/link", "/tmp/link", "/dev/shm/link"):
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            continue
        breach(f"{source} linked at {target}")
held()
