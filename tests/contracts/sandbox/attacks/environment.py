import glob

from harness import breach, held

for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        continue
    if b"HOST_SECRET" in text or b"pytest" in text or b"runner" in text:
        breach(f"{path}: {text[:200]!r}")
held()
