"""From a URI to next hops (RFC 3263) as a question and its answer.

The core never resolves a name. A numeric host is a hop at once; for any other host the core asks ``Locate`` in its
events and is answered by its ``located(token, hops or error, now)``. How the answer is found is here too, as a machine
without I/O: a ``Location`` says which DNS records it needs and takes them, in at most three rounds, until it has the
hops in the order to try them.

Rule 1. NAPTR, SRV, A and AAAA, in that order; what the URI itself says (a numeric host, a port, a transport) saves the
        questions that it answers (§4.1, §4.2).
Rule 2. Only services of transports that we have are looked at, and for a sips URI only those over TLS (§4.1).
Rule 3. A look-up that failed counts as no records: the next way is tried. For sips that is never a way without TLS.
Rule 4. Whatever the DNS says, there are at most ``MOST_SERVICES`` services, ``MOST_SERVERS`` servers and ``MOST_HOPS``
        hops; the rest is not looked at. No answer leads back to an earlier round, so there is no loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, is_ipv4
from ringback.protocol.routing.flow import SECURE_TRANSPORTS, Hop
from ringback.protocol.routing.records import MOST_RECORDS, Naptr, Record, Srv, order_naptr, order_srv
from ringback.protocol.routing.via import DEFAULT_PORT, DEFAULT_PORTS

if TYPE_CHECKING:
    from ringback.protocol.message.uri import Uri
    from ringback.protocol.message.values import Via

_is_ipv4 = lru_cache(4096)(is_ipv4)  # the same few gateways and phones, over and over

MOST_SERVICES = 8
MOST_SERVERS = 10
MOST_ADDRESSES = 4  # of one server and family, so that one with very many does not hide the next server
MOST_HOPS = 16

# RFC 3263 §4.1 and, for the letter W, RFC 7118.
NAPTR_SERVICES = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS", "SIP+D2W": "WS", "SIPS+D2W": "WSS"}
SRV_PREFIXES = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}


@final
class Locate:
    """The question: which hops lead to ``uri``? Asked by the core ``user``, answered with ``token`` given back.

    ``transport`` is the one to use ("TLS" for sips), None where RFC 3263 §4.1 is to choose.
    """

    __slots__ = ("token", "transport", "uri", "user")

    def __init__(self, user: str, token: int, uri: Uri, transport: str | None = None) -> None:
        self.user = user
        self.token = token
        self.uri = uri
        self.transport = transport

    def __repr__(self) -> str:
        return f"Locate({self.user} {self.token} {self.uri})"


def transport_of(uri: Uri) -> str | None:
    """The transport that the URI itself asks for, None when it leaves the choice (RFC 3263 §4.1)."""
    asked = uri.transport
    if uri.scheme == "sips":
        return "WSS" if asked in ("WS", "WSS") else "TLS"
    return asked


def direct_hop(uri: Uri, transport: str | None = None) -> Hop | None:
    """The hop of a URI whose target is a numeric address, None when a name must be resolved first.

    ``maddr`` takes the place of the host (RFC 3263 §4). Without ``transport`` and a transport parameter it is UDP for
    sip and TLS for sips; without a port 5060, or 5061 for TLS (§4.1, §4.2).
    """
    host = uri.params.get("maddr") or uri.host
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1].replace(":::", "::")  # RFC 5118 §4.10
    elif not _is_ipv4(host):
        return None
    transport = transport or transport_of(uri) or "UDP"
    return Hop(transport, host, uri.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT))


class RecordType(StrEnum):
    """The types of record that are asked for."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


ADDRESS_TYPES = {4: RecordType.A, 6: RecordType.AAAA}


@final
class Question:
    """A name and the type of record that is wanted of it."""

    __slots__ = ("kind", "name")

    def __init__(self, name: str, kind: RecordType) -> None:
        self.name = name
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self.kind is other.kind and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return f"Question({self.kind} {self.name})"


@final
class Reach:
    """What we can use: ``transports`` in capitals and address ``families`` (4, 6), the preferred ones first."""

    __slots__ = ("families", "transports")

    def __init__(self, transports: Sequence[str], families: Sequence[int] = (4, 6)) -> None:
        self.transports = tuple(transports)
        self.families = tuple(families)


class Stage(StrEnum):
    """What a location is waiting for; each is reached at most once, in this order."""

    SERVICES = "NAPTR"
    SERVERS = "SRV"
    ADDRESSES = "A and AAAA"
    DONE = "nothing"


@final
class Location:
    """The way to the hops of a SIP or SIPS URI.

    As long as ``questions`` is not empty, find the records of each and call ``answer``. Then ``hops`` are there, best
    first; when there are none ``problem`` says why. ``asked`` is every question with what it was answered, in order.
    ``number(low, high)`` draws the random numbers of RFC 2782.
    """

    __slots__ = (
        "_certified",
        "_default",
        "_name",
        "_number",
        "_reach",
        "_secure",
        "_servers",
        "_services",
        "asked",
        "hops",
        "problem",
        "questions",
        "stage",
    )

    def __init__(self, name: str, reach: Reach, number: Callable[[int, int], int], *, secure: bool = False) -> None:
        self.asked: list[tuple[Question, list[Record] | None]] = []
        self.hops: list[Hop] = []
        self.problem = ""
        self.questions: list[Question] = []
        self.stage = Stage.DONE
        self._name = name[:-1] if name[-1:] == "." else name
        self._reach = reach
        self._number = number
        self._secure = secure
        self._certified = self._name
        self._default = self._default_transport()
        self._services: list[tuple[str, str]] = []  # transport, name of the SRV records
        self._servers: list[tuple[str, str, int]] = []  # transport, host name, port

    @classmethod
    def of_uri(
        cls, uri: Uri, reach: Reach, number: Callable[[int, int], int], transport: str | None = None
    ) -> Location:
        """Where a request for ``uri`` goes (§4). ``transport`` is the one to use; None: what the URI or the DNS says.

        Raises ``RemoteProtocolError`` with status 416 for a URI of another scheme, a ``tel`` URI for one: it names a
        number and no host.
        """
        if not uri.is_sip:
            raise RemoteProtocolError(f"a {uri.scheme} URI leads to no host", status=416, clause="RFC 3261 §8.2.2.1")
        wanted = transport or transport_of(uri)
        target = uri.params.get("maddr") or uri.host
        location = cls(target, reach, number, secure=uri.scheme == "sips" or wanted in SECURE_TRANSPORTS)
        if wanted == "TLS" and uri.transport is None:
            wanted = None  # sips only asks for a secure one: which, the NAPTR records may say
        hop = direct_hop(uri, wanted or location._default)
        if hop is not None:
            location._found([hop])
            return location
        location._certified = uri.host
        if uri.port:
            location._seek_addresses([(wanted or location._default, location._name, uri.port)])
        elif wanted is not None:
            location._seek_servers([wanted])
        else:
            location._seek(Stage.SERVICES, [Question(location._name, RecordType.NAPTR)])
        return location

    @classmethod
    def of_via(cls, via: Via, reach: Reach, number: Callable[[int, int], int]) -> Location:
        """Where a response goes when the way that its request came by is gone (§5): what sent-by names."""
        transport = via.transport
        location = cls(via.host, reach, number, secure=transport in SECURE_TRANSPORTS)
        host = location._name
        if host[:1] == "[":
            location._found([Hop(transport, host[1:-1], via.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT))])
        elif _is_ipv4(host):
            location._found([Hop(transport, host, via.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT))])
        elif via.port:
            location._seek_addresses([(transport, host, via.port)])
        else:
            location._seek_servers([transport])
        return location

    def answer(self, answers: Sequence[list[Record] | None]) -> None:
        """The records for each of ``questions``, in their order; None for a look-up that failed."""
        self.asked += zip(self.questions, answers, strict=True)
        if self.stage is Stage.SERVICES:
            self._choose_services(answers[0] or [])
        elif self.stage is Stage.SERVERS:
            self._choose_servers(answers)
        else:
            self._collect_hops(dict(zip(self.questions, answers, strict=True)))

    # the stages

    def _choose_services(self, records: list[Record]) -> None:
        """§4.1: the NAPTR records that lead to a transport of ours; without any, every transport of ours is tried."""
        services: list[tuple[str, str]] = []
        for record in order_naptr([record for record in records if isinstance(record, Naptr)][:MOST_RECORDS]):
            transport = NAPTR_SERVICES.get(record.service.upper())
            replacement = _bare_name(record.replacement)
            if transport is None or not self._may_use(transport) or ascii_lower(record.flags) != "s":
                continue
            service = (transport, replacement)
            if replacement and not record.regexp and service not in services:
                services.append(service)
        if services:
            self._ask_servers(services[:MOST_SERVICES])
        else:
            # of transports that are secure only for sips, and of others only for sip (§4.1)
            self._seek_servers([each for each in self._reach.transports if (each in SECURE_TRANSPORTS) == self._secure])

    def _choose_servers(self, answers: Sequence[list[Record] | None]) -> None:
        """RFC 2782 with §4.2: the servers of each service, else the name itself at the usual port."""
        servers: list[tuple[str, str, int]] = []
        refused = False
        for (transport, _), records in zip(self._services, answers, strict=True):
            found = [record for record in records or [] if isinstance(record, Srv)]
            found.sort(key=lambda record: record.priority)
            for record in order_srv(found[:MOST_RECORDS], self._number):
                target = _bare_name(record.target)
                if not target:
                    refused = True
                elif record.port:
                    servers.append((transport, target, record.port))
        if servers:
            self._seek_addresses(servers[:MOST_SERVERS])
        elif refused:
            self._fail(f"{self._name} says that it has no such service")
        else:
            transport = self._services[0][0] if len({each for each, _ in self._services}) == 1 else self._default
            self._seek_addresses([(transport, self._name, DEFAULT_PORTS.get(transport, DEFAULT_PORT))])

    def _collect_hops(self, answers: dict[Question, list[Record] | None]) -> None:
        hops: list[Hop] = []
        for transport, name, port in self._servers:
            certified = self._certified if transport in SECURE_TRANSPORTS else ""
            for family in self._reach.families:
                records = answers[Question(name, ADDRESS_TYPES[family])] or []
                addresses = [record for record in records if isinstance(record, str)]
                hops += [Hop(transport, address, port, certified) for address in addresses[:MOST_ADDRESSES]]
        if hops:
            self._found(list(dict.fromkeys(hops))[:MOST_HOPS])
        else:
            self._fail(f"no address for {' or '.join(dict.fromkeys(name for _, name, _ in self._servers))}")

    # the questions of a stage

    def _seek_servers(self, transports: Sequence[str]) -> None:
        """Ask for the SRV records of transports; those that have none go by the address alone (§4.2)."""
        services = [(each, SRV_PREFIXES[each] + self._name) for each in transports if each in SRV_PREFIXES]
        if services:
            self._ask_servers(services)
        else:
            transport = transports[0] if transports else self._default
            self._seek_addresses([(transport, self._name, DEFAULT_PORTS.get(transport, DEFAULT_PORT))])

    def _ask_servers(self, services: list[tuple[str, str]]) -> None:
        self._services = services
        self._seek(Stage.SERVERS, [Question(name, RecordType.SRV) for _, name in services])

    def _seek_addresses(self, servers: list[tuple[str, str, int]]) -> None:
        self._servers = servers
        names = dict.fromkeys(name for _, name, _ in servers)
        kinds = [ADDRESS_TYPES[family] for family in self._reach.families]
        self._seek(Stage.ADDRESSES, [Question(name, kind) for name in names for kind in kinds])

    def _seek(self, stage: Stage, questions: list[Question]) -> None:
        self.stage = stage
        self.questions = questions
        if not questions:
            self._fail("no address family of ours")

    def _found(self, hops: list[Hop]) -> None:
        self.stage = Stage.DONE
        self.questions = []
        self.hops = hops

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self._found([])

    # what we may use

    def _may_use(self, transport: str) -> bool:
        return transport in self._reach.transports and (transport in SECURE_TRANSPORTS or not self._secure)

    def _default_transport(self) -> str:
        """UDP, or TLS for sips (§4.1); where we have no UDP, the first that may be used."""
        usual = "TLS" if self._secure else "UDP"
        if usual in self._reach.transports:
            return usual
        return next((each for each in self._reach.transports if self._may_use(each)), usual)


def _bare_name(name: str) -> str:
    """A domain name without its final dot; "" for the root."""
    return name[:-1] if name[-1:] == "." else name
