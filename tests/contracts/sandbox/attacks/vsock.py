import socket

from harness import breach, held

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    try:
        with socket.socket(socket.AF_VSOCK, kind) as sock:
            sock.settimeout(1)
            sock.connect((2, 1024))
    except TimeoutError:
        breach("a packet left for the hypervisor")
    except OSError:
        continue
    breach("reached the hypervisor")
held()
