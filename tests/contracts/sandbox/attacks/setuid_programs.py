import os
import shutil
import subprocess

from harness import breach, held

ENV = os.path.abspath("env")
shutil.copyfile("/usr/bin/env", ENV)
try:
    os.chmod(ENV, 0o6755)
except PermissionError:
    held()
for program in (ENV, shutil.which("su") or "/bin/true"):
    out = subprocess.run([program, "--help"], capture_output=True, check=False)
    del out
out = subprocess.run([ENV, "cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
caps = [line for line in out.splitlines() if line.startswith(("CapEff", "Uid"))]
if any(int(line.split()[1], 16) for line in caps if line.startswith("CapEff")) or "Uid:\t0" in out:
    breach(str(caps))
held()
