import os

from harness import WORKSPACE, breach, held, seen

homes = ["~", "~root", "/root", "/home", "/var/lib", "/var/spool", "/srv", "/mnt", "/media", "/opt"]
mounted = {f"/{name}" for name in os.environ["MOUNTED"].split()}
for home in homes:
    path = os.path.expanduser(home)
    if path in (WORKSPACE, "/nonexistent") or path in mounted:
        continue  # host_files looks at what leads to a mount
    if seen(path):
        breach(path)
for name in (".ssh", ".aws", ".netrc", ".config", ".git-credentials", ".bash_history", ".kube", ".docker", ".pypirc"):
    for home in ("/root", os.path.expanduser("~")):
        if seen(f"{home}/{name}"):
            breach(f"{home}/{name}")
held()
