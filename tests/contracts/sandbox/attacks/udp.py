import socket

from harness import breach, held

for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "255.255.255.255"), (socket.AF_INET6, "::1")):
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (host, 53))
    except OSError:
        continue
    breach(f"sent a datagram to {host}")
held()
