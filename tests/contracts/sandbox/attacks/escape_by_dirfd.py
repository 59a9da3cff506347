import os

from harness import breach, held, seen

try:
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
except PermissionError:
    for path in ("..", "../..", "../" * 40, "/proc/self/root", "/proc/self/cwd/.."):
        if seen(path):
            breach(path)
    held()
inode = os.stat("/").st_ino, os.stat("/").st_dev
path = "../" * 40
if (os.stat(path, dir_fd=fd).st_ino, os.stat(path, dir_fd=fd).st_dev) != inode:
    breach("climbed out of the root")
for link in ("/proc/self/root", "/proc/thread-self/root", "/proc/self/cwd/.."):
    status = os.stat(link + "/")
    if (status.st_ino, status.st_dev) != inode:
        breach(link)
held()
