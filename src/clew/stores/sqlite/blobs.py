"""Content-addressed bytes in the journal's file."""

import sqlite3
from pathlib import Path

from clew.core.errors import NotFound, Tampered
from clew.core.identity import digest_bytes
from clew.stores.sqlite.connection import translated
from clew.stores.sqlite.tables import put_blob


class SqliteBlobs:
    """The blobs port over the journal's connection."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def put(self, data: bytes) -> str:
        """Durable when it returns; the same bytes are kept once."""
        address = digest_bytes(data)
        with translated(self._path):
            put_blob(self._connection, bytes.fromhex(address), data)
        return address

    async def get(self, address: str) -> bytes:
        """Raises NotFound, or Tampered when the bytes are not those of the address."""
        try:
            key = bytes.fromhex(address)
        except ValueError:
            raise NotFound(f"{address[:80]!r} is no blob address", hint="an address is 64 hexadecimal digits") from None
        with translated(self._path):
            row = self._connection.execute("SELECT data FROM blobs WHERE address = ?", (key,)).fetchone()
        if row is None:
            raise NotFound(f"there is no blob {address[:12]} in this journal")
        if digest_bytes(row[0]) != address:
            raise Tampered(f"blob {address[:12]} was changed: its bytes do not give its address", hint="`clew verify`")
        return row[0]
