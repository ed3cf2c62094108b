"""Whether anybody listens at an address: a TCP connection that is closed again."""

import asyncio
from urllib.parse import urlsplit


async def can_reach(address: str) -> bool:
    """Return whether a connection to ``host:port`` is taken; the caller bounds the wait."""
    found = urlsplit(f"//{address}")
    try:
        _, writer = await asyncio.open_connection(found.hostname, found.port)
    except OSError:
        return False
    writer.close()
    return True
