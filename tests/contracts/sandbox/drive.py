"""Run every attack in a sandbox of the user that runs this; prints a line for each. For ``test_attacks``."""

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


async def main():
    conftest = arena_module()
    mounts = conftest.interpreter_mounts(sys.executable)
    backend = conftest.NativeBackend()
    failed = 0
    for script in sorted((HERE / "attacks").glob("*.py")):
        if script.stem == "harness":
            continue
        with backend.acquire(conftest.Profile(**conftest.LIMITS, mounts=mounts)) as sandbox:
            result = await conftest.Arena(sandbox, "").attack(script.read_text())
        held = (result.status, result.rc) == ("OK", 0) and result.stdout.startswith(b"held")
        failed += not held
        print(script.stem, "held" if held else f"BREACH {result}")
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
