import socket

from harness import breach, held

for protocol in range(23):
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol).close()
    except OSError:
        continue
    breach(f"netlink {protocol}")
held()
