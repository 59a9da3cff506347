import os

from harness import LANDLOCK, breach, held, seen

for path in (
    "/etc/shadow",
    "/etc/sudoers",
    "/etc/ssh",
    "/home",
    "/root/.ssh",
    "/root/.bashrc",
    "/var",
    "/run",
    "/sys",
    "/boot",
    "/old",
    "/new",
    "/dev/sda",
    "/dev/vda",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/kvm",
    "/dev/fuse",
):
    if seen(path):
        breach(path)
if LANDLOCK:
    held()
KNOWN = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr", "workspace"}
if extra := set(os.listdir("/")) - KNOWN - set(os.environ["MOUNTED"].split()):
    breach(f"the root holds {extra}")
for folder in set(os.environ["MOUNTED"].split()) - {"tmp"}:  # a mount below /tmp lies in a /tmp of our own
    for parent, names, files in os.walk(f"/{folder}"):
        if len(names) > 1 or files:
            break  # reached what was mounted
        if os.access(parent, os.W_OK):
            breach(f"{parent} is writable")
held()
