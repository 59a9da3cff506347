import os
import socket

from harness import breach, held

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    for path in (os.environ["HOST_SOCKET"], "/run/docker.sock", "/var/run/docker.sock", "/run/systemd/private"):
        try:
            with socket.socket(socket.AF_UNIX, kind) as sock:
                sock.connect(path)
        except OSError:
            continue
        breach(f"reached {path}")
# A pair is given to programs; its halves must not be led elsewhere.
left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
for attempt in (lambda: left.connect(os.environ["HOST_SOCKET"]), lambda: left.sendto(b"x", os.environ["HOST_SOCKET"])):
    try:
        attempt()
    except OSError:
        continue
    breach("a pair reached the host")
try:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.sendto(b"x", os.environ["HOST_SOCKET"])
except OSError:
    held()
breach("a pair of datagram sockets reached the host")
