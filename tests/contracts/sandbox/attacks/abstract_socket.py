import socket

from harness import breach, held

sock = socket.socket(socket.AF_UNIX)
try:
    sock.connect("\0clew-attack-target")
except OSError:
    held()
breach("reached a socket of the host")
