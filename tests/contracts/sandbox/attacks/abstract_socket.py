import os
import socket

from harness import breach, held

try:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect("\0" + os.environ["HOST_ABSTRACT"])
except OSError:
    held()
breach("reached a socket of the host")
