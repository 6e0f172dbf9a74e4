# SPDX-License-Identifier: Apache-2.0
"""The wires between daemons: each passes bytes on from a port of its own to that of a node, and can
be cut, held or taken away."""
import asyncio
import threading

PIECE = 65536


class Link:
    def __init__(self, wires, target):
        self.wires = wires
        self.target = target  # says the port of the node behind it
        self.port = 0
        self.open = asyncio.Event()
        self.open.set()
        self.away = False
        self.writers = set()
        self.connections = 0
        self.cut_connections = 0

    async def listen(self):
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def accept(self, reader, writer):
        if self.away:
            writer.transport.abort()
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.target())
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, back_writer)
        self.connections += 1
        self.writers.update(pair)
        try:
            await asyncio.gather(self.pump(reader, back_writer), self.pump(back_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.writers.difference_update(pair)
            for each in pair:
                each.transport.abort()

    async def pump(self, reader, writer):
        while True:
            piece = await reader.read(PIECE)
            await self.open.wait()
            if not piece:
                writer.transport.abort()
                return
            writer.write(piece)
            await writer.drain()

    # ---- From other threads ----

    def cut(self):
        """All connections end by a reset; new ones work."""
        self.wires.call(self.cut_now)

    def cut_now(self):
        self.cut_connections += len(self.writers) // 2
        for writer in list(self.writers):
            writer.transport.abort()

    def hold(self, held):
        """Nothing moves while it is held, and nobody is told."""
        self.wires.call(self.open.clear if held else self.open.set)

    def take_away(self, away):
        self.away = away
        if away:
            self.cut()


class Wires:
    """A thread with the loop of all links."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.links = []
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, what):
        self.loop.call_soon_threadsafe(what)

    def link(self, target):
        made = asyncio.run_coroutine_threadsafe(self.made(target), self.loop).result(10)
        self.links.append(made)
        return made

    async def made(self, target):
        return await Link(self, target).listen()

    def stop(self):
        self.call(self.loop.stop)
