"""``python -m clew.testing.provider --script FILE --port-file FILE [--port N] [--log FILE] [--repeat]``: runs until SIGTERM.

The port is written when it listens, whole or not at all.
"""

import argparse
import asyncio
import signal
from pathlib import Path

import msgspec

from clew.testing.provider.script import script_of
from clew.testing.provider.server import FakeProvider


async def serve(script: Path, port_file: Path, port: int, log: Path | None, repeat: bool) -> None:
    steps, answer = script_of(script)
    fake = FakeProvider(*steps, script=answer, repeat=repeat, log=log, port=port)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with fake:
        half = port_file.with_name(port_file.name + ".new")
        half.write_text(str(fake.port))
        half.replace(port_file)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m clew.testing.provider", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="JSON list of steps, or a .py with answer(seen)")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; any that is free unless given")
    parser.add_argument("--log", type=Path, help="JSON lines, one a request")
    parser.add_argument("--repeat", action="store_true", help="begin the script again when it is over")
    options = parser.parse_args()
    try:
        asyncio.run(serve(options.script, options.port_file, options.port, options.log, options.repeat))
    except (OSError, OverflowError, msgspec.DecodeError) as error:
        parser.error(str(error))
