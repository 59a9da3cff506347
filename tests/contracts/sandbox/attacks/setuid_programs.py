import os
import shutil
import subprocess

from harness import breach, held

shutil.copy("/usr/bin/env", "/workspace/env")
os.chmod("/workspace/env", 0o6755)
for program in ("/workspace/env", shutil.which("su") or "/bin/true"):
    out = subprocess.run([program, "--help"], capture_output=True, check=False)
    del out
out = subprocess.run(["/workspace/env", "cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
caps = [line for line in out.splitlines() if line.startswith(("CapEff", "Uid"))]
if any(int(line.split()[1], 16) for line in caps if line.startswith("CapEff")) or "Uid:\t0" in out:
    breach(str(caps))
held()
