"""Run every attack in sandboxes of the tier that is named, as the user that runs this; a line for each."""

import asyncio
import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent


def arena_module():
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("arena_conftest", HERE / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def main(tier):
    conftest = arena_module()
    mounts = conftest.interpreter_mounts(sys.executable)
    backend = conftest.NativeBackend((tier,))
    mounts = mounts if tier == "namespaces" else ()  # the system's interpreter needs none
    failed = 0
    targets = conftest.Targets()
    for script in sorted((HERE / "attacks").glob("*.py")):
        if script.stem == "harness":
            continue
        with backend.acquire(conftest.Profile(**conftest.LIMITS, mounts=mounts)) as sandbox:
            arena = conftest.Arena(sandbox, {**targets.env, "MOUNTED": "", "TIER": tier})
            results = [await arena.attack(script.read_text(), preloaded=preloaded) for preloaded in (False, True)]
        held = targets.alive() and all(
            ((r.status, r.rc) == ("OK", 0) and r.stdout.startswith(b"held"))
            or r.reason.startswith(("more than", "used more than"))
            for r in results
        )
        failed += not held
        print(
            script.stem,
            "held"
            if held
            else "BREACH "
            + " | ".join(f"{r.status} {r.rc} {r.reason} {r.stdout[-200:]} {r.stderr[-200:]}" for r in results),
        )
    targets.close()
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
