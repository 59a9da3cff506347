import os

from harness import must_fail

must_fail(
    root=lambda: os.mkdir("/evil"),
    usr=lambda: open("/usr/evil", "w"),
    binary=lambda: open("/usr/bin/env", "r+b"),
    etc=lambda: open("/etc/evil", "w"),
    passwd=lambda: open("/etc/passwd", "a"),
    dev=lambda: open("/dev/evil", "w"),
    chmod_null=lambda: os.chmod("/dev/null", 0o777),
    chmod_root=lambda: os.chmod("/", 0o777),
    chmod_workspace_parent=lambda: os.rename("/workspace", "/w"),
    own_device=lambda: os.mknod("sda", 0o60660, os.makedev(8, 0)),
    own_char_device=lambda: os.mknod("mem", 0o20660, os.makedev(1, 1)),
    device=lambda: os.mknod("/workspace/sda", 0o60660, os.makedev(8, 0)),
    char_device=lambda: os.mknod("/workspace/mem", 0o20660, os.makedev(1, 1)),
)
