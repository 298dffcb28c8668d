"""A cache connection of one client: just the commands that the demo needs, in the classic dialect."""

import asyncio


class ProtocolError(Exception):
    pass


class CacheConnection:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()

    async def line(self):
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ProtocolError("the cache server closed the connection")
        return line[:-2]

    async def block(self, size):
        return (await self.reader.readexactly(size + 2))[:-2]

    async def ask(self, request):
        self.writer.write(request)
        return await self.line()

    async def get(self, key):
        """The value, or None."""
        line = await self.ask(b"get %s\r\n" % key)
        value = None
        if line.startswith(b"VALUE "):
            value = await self.block(int(line.split()[3]))
            line = await self.line()
        if line != b"END":
            raise ProtocolError(f"get: {line!r}")
        return value

    async def set(self, key, ttl, value):
        return await self.ask(b"set %s 0 %d %d\r\n%s\r\n" % (key, ttl, len(value), value))

    async def delete(self, key):
        return await self.ask(b"delete %s\r\n" % key)

    async def lease_get(self, key):
        """The fresh value and no token; or a token (1: another client fetches) and the stale value, if there is one."""
        fields = (await self.ask(b"lease-get %s\r\n" % key)).split()
        if fields[:1] == [b"VALUE"]:
            token, value = None, await self.block(int(fields[3]))
        elif fields[:1] == [b"LVALUE"]:
            token, value = int(fields[2]), await self.block(int(fields[4]))
        else:
            raise ProtocolError(f"lease-get: {fields!r}")
        if await self.line() != b"END":
            raise ProtocolError("lease-get: END expected")
        return token, value

    async def lease_set(self, key, token, ttl, value):
        return await self.ask(b"lease-set %s %d 0 %d %d\r\n%s\r\n" % (key, token, ttl, len(value), value))
