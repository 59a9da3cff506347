import resource

from harness import breach, held

for which in (
    resource.RLIMIT_CPU,
    resource.RLIMIT_DATA,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
):
    hard = resource.getrlimit(which)[1]
    if hard == resource.RLIM_INFINITY:
        breach(f"limit {which} is not set")
    try:
        resource.setrlimit(which, (hard + 1, hard + 1))
    except (OSError, ValueError):
        continue
    breach(f"limit {which} was raised")
held()
