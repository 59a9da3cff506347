import threading

from harness import breach, held

stop = threading.Event()
made = 0
try:
    while made < 500:
        threading.Thread(target=stop.wait, daemon=True).start()
        made += 1
except RuntimeError:
    pass
stop.set()
if made > 40:
    breach(f"{made} threads")
held()
