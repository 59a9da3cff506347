import ctypes
import os
import signal

from harness import breach, held, libc

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
for count in range(100_000):
    if libc.sigqueue(os.getpid(), signal.SIGRTMIN, ctypes.c_void_p(0)) != 0:
        held(str(count))
breach("100000 queued signals")
