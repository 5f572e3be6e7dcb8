"""A real DNS server on loopback, UDP and TCP, which answers from a zone or misbehaves by the name."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Self, final

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Misdeed = Callable[[dns.message.Message], bytes | None]


@final
class NameServer(asyncio.DatagramProtocol):
    """Answers from ``zone``: lines as in a zone file, by name. ``misdeeds`` by name come first: None is silence.

    ``asked`` counts the questions, as "SRV _sip._udp.example.test".
    """

    def __init__(self, zone: dict[str, list[str]]) -> None:
        self.zone = zone
        self.misdeeds: dict[str, Misdeed] = {}
        self.asked: list[str] = []
        self.over_tcp = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport
        self._server: asyncio.Server

    @property
    def address(self) -> str:
        """For ``nameservers``."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        self._server.close()

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        """A question over UDP."""
        answer = self._answer(data, 1232)
        if answer is not None:
            self._transport.sendto(answer, source)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                self.over_tcp += 1
                answer = self._answer(await reader.readexactly(length), 65535)
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        except asyncio.IncompleteReadError:
            writer.close()

    def _answer(self, data: bytes, room: int) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{dns.rdatatype.to_text(question.rdtype)} {name}")
        if name in self.misdeeds:
            return self.misdeeds[name](query)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        lines = self.zone.get(name)
        if lines is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        for line in lines or []:
            kind, _, data_text = line.partition(" ")
            if dns.rdatatype.from_text(kind) in (question.rdtype, dns.rdatatype.CNAME):
                response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, data_text))
                target = data_text.removesuffix(".")
                if kind == "CNAME":
                    for other in self.zone.get(target, []):
                        other_kind, _, text = other.partition(" ")
                        response.answer.append(dns.rrset.from_text(data_text, 60, "IN", other_kind, text))
        try:
            return response.to_wire(max_size=room)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()
