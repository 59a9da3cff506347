import socket

from harness import breach, held

FAMILIES = {"INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40, "KCM": 41, "XDP": 44}
for name, family in FAMILIES.items():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        breach(name)
# What programs need must be left: asyncio's self-pipe is a pair of AF_UNIX sockets.
a, b = socket.socketpair()
a.close()
b.close()
held()
