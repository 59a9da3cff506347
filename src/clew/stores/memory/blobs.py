"""Content-addressed bytes in memory."""

from clew.core.errors import NotFound, Tampered
from clew.core.identity import digest_bytes


class MemoryBlobs:
    """The blobs port over a dict."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        """See the port."""
        address = digest_bytes(data)
        self.data[address] = data
        return address

    async def get(self, address: str) -> bytes:
        """See the port."""
        if address not in self.data:
            raise NotFound(f"there is no blob {address[:12]!r} in this journal")
        if digest_bytes(self.data[address]) != address:
            raise Tampered(f"blob {address[:12]} was changed: its bytes do not give its address", hint="`clew verify`")
        return self.data[address]
