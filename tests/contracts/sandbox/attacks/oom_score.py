from harness import breach, held

try:
    with open("/proc/self/oom_score_adj") as file:
        now = int(file.read())
except PermissionError:
    now = 1000
if now != 1000:
    breach(f"would be killed late: {now}")
try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-500")
except OSError:
    held()
breach("made itself hard to kill")
