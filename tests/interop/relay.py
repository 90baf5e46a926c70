#!/usr/bin/env python3
"""relay.py SOCKET: a TCP port on loopback whose connections go to a Unix socket; prints "listening PORT". For foreign
tools that know TCP only."""
import asyncio
import sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    async def joined(reader, writer):
        far_reader, far_writer = await asyncio.open_unix_connection(sys.argv[1])
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    server = await asyncio.start_server(joined, "127.0.0.1", 0)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
