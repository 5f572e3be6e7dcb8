"""Names to DNS records by c-ares, and the names of this machine and its neighbours to addresses by the system.

``records`` is what requests need: it asks the DNS, blocks no thread, and its answers live as long as their TTL.
``addresses`` is getaddrinfo, in threads, with a small memory: whatever the machine knows, the hosts file and mDNS too.
It is for addresses to listen on, and for names without a dot or in ``.local``, which the DNS of the world has not.

What is numeric or remembered is answered without suspending. Callers that ask for the same name at the same time share
one look-up, and a look-up that takes too long fails alone. Look-ups under way are bounded: when so many names are slow
at once, the next fails instead of waiting.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.routing.records import MOST_RECORDS, Naptr, Record, Srv
from ringback.transport.coroutines import suspend
from ringback.transport.network import address_family
from ringback.transport.record_cache import NOTHING_REMEMBERED_FOR, Answer, RecordCache

if TYPE_CHECKING:
    from aiodns import DNSResolver

REMEMBERED_FOR = 60.0  # seconds; getaddrinfo does not tell the records' own time to live
FAILURES_REMEMBERED_FOR = 5.0
PATIENCE = 5.0  # seconds for one look-up
MOST_NAMES = 1024
MOST_UNDER_WAY = 256
THREADS = 8
QUERY_TIMEOUT = 1.0  # seconds until a name server is asked again, or the next one
QUERY_TRIES = 3
MOST_ALONE = 4  # questions at a time that have a socket of their own: each costs an inotify instance of the user

_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}

Lookup = Callable[[str], list[str]]


def _system_lookup(host: str) -> list[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


@final
class SystemResolver:
    """``transport.network.Resolver`` for real. Belongs to one event loop.

    ``nameservers`` are asked instead of the machine's own: ``192.0.2.53`` or ``127.0.0.1:5353``.
    """

    def __init__(self, lookup: Lookup = _system_lookup, *, nameservers: Sequence[str] = ()) -> None:
        self._lookup = lookup
        self.nameservers = list(nameservers)
        self._dns: DNSResolver | None = None
        self._cache = RecordCache()
        self._alone = asyncio.Semaphore(MOST_ALONE)
        self._remembered: dict[str, tuple[float, list[str]]] = {}  # until when (loop time), answer; [] for a failure
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def addresses(self, host: str, family: int | None = None) -> list[str]:
        """Addresses of ``host``; raises TransportError when there are none of that family or no answer in time."""
        try:
            numeric = address_family(host)
        except TransportError:
            answer = await self._named(host.lower())
        else:
            answer = [host] if family in (None, numeric) else []
        if family is not None:
            answer = [address for address in answer if address_family(address) == family]
        if not answer:
            raise TransportError(f"no address for {host}")
        return answer

    async def records(self, name: str, kind: str) -> list[Record]:
        """The DNS records of that type, [] when there are none; raises TransportError when there is no answer.

        At most ``MOST_RECORDS``, those that come first by the rules.
        """
        family = _FAMILIES.get(kind)
        if family is not None and _is_neighbour(name):
            version = 4 if family is socket.AF_INET else 6
            return [address for address in await self._named(name.lower()) if address_family(address) == version]
        return await self._cache.records(name, kind, self._query)

    async def _query(self, name: str, kind: str) -> Answer:
        """One question to the name servers. Addresses come from the hosts file too, which is looked at first."""
        if self._dns is None:
            self._dns = self._channel()
        try:
            return await _query_by(self._dns, name, kind)
        except _Garbled:
            pass
        # Questions share a socket, and c-ares gives it up with all of them when one of the answers is garbage: this
        # one may be another's fault, so it is asked again by a socket of its own.
        async with self._alone:
            channel = self._channel()
            try:
                return await _query_by(channel, name, kind)
            except _Garbled:
                raise TransportError(f"the answer for {kind} of {name} is garbage") from None
            finally:
                channel.cancel()

    def _channel(self) -> DNSResolver:
        from aiodns import DNSResolver
        from pycares import ARES_FLAG_EDNS, ARES_FLAG_NOSEARCH

        return DNSResolver(
            self.nameservers or None,
            flags=ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH,  # a name of SIP is whole, no suffix is to be tried
            timeout=QUERY_TIMEOUT,
            tries=QUERY_TRIES,
        )

    async def _named(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        remembered = self._remembered.get(name)
        if remembered is not None and remembered[0] > loop.time():
            return remembered[1]
        await suspend()
        under_way = self._under_way.get(name)
        if under_way is None:
            if len(self._under_way) >= MOST_UNDER_WAY:
                return []
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, "ringback-resolver")
            under_way = loop.run_in_executor(self._threads, self._lookup, name)
            self._under_way[name] = under_way
        try:
            answer = await asyncio.wait_for(asyncio.shield(under_way), PATIENCE)
            keep = REMEMBERED_FOR
        except (OSError, UnicodeError):  # a time-out is an OSError too
            answer, keep = [], FAILURES_REMEMBERED_FOR
        finally:
            if under_way.done():
                self._under_way.pop(name, None)
        if len(self._remembered) >= MOST_NAMES:
            self._remembered.clear()
        self._remembered[name] = (loop.time() + keep, answer)
        return answer

    def close(self) -> None:
        """Let the threads and the channel to the name servers go; look-ups under way are not waited for."""
        self._cache.close()
        if self._dns is not None:
            self._dns.cancel()
            self._dns = None
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


class _Garbled(Exception):
    """An answer could not be read: this question's, or that of another on the same socket."""


async def _query_by(channel: DNSResolver, name: str, kind: str) -> Answer:
    """One question by one channel; raises TransportError for a failure."""
    from aiodns import error

    try:
        if kind in _FAMILIES:
            return await _query_addresses(channel, name, _FAMILIES[kind])
        return await _query_services(channel, name, kind)
    except error.DNSError as failure:
        code = failure.args[0]
        if code in (error.ARES_ENOTFOUND, error.ARES_ENODATA):
            return [], NOTHING_REMEMBERED_FOR
        if code == error.ARES_EBADRESP:
            raise _Garbled from None
        raise TransportError(f"{kind} of {name}: {failure.args[-1]}") from None
    except UnicodeError:
        raise TransportError(f"{name!r} is no name for the DNS") from None


async def _query_addresses(channel: DNSResolver, name: str, family: socket.AddressFamily) -> Answer:
    found = await channel.getaddrinfo(name, family)
    nodes = found.nodes[:MOST_RECORDS]
    lifetimes = [node.ttl for node in nodes] + [alias.ttl for alias in found.cnames]
    addresses: list[Record] = list(dict.fromkeys(str(node.addr[0], "ascii") for node in nodes))
    return addresses, min(lifetimes, default=0)


async def _query_services(channel: DNSResolver, name: str, kind: str) -> Answer:
    from pycares import NAPTRRecordData, SRVRecordData

    found = (await channel.query_dns(name, kind)).answer
    lifetime = min((record.ttl for record in found), default=0)
    records: list[Record] = []
    for data in sorted((record.data for record in found), key=_rank)[:MOST_RECORDS]:
        if isinstance(data, SRVRecordData):
            records.append(Srv(data.priority, data.weight, data.port, data.target))
        elif isinstance(data, NAPTRRecordData):
            records.append(Naptr(data.order, data.preference, data.flags, data.service, data.replacement, data.regexp))
    return records, lifetime


def _is_neighbour(name: str) -> bool:
    """Whether the machine knows this name better than the DNS does: one label, or mDNS (RFC 6762 §3)."""
    bare = name.rstrip(".").lower()
    return "." not in bare or bare.endswith((".local", ".localhost"))


def _rank(data: object) -> tuple[int, int]:
    """In which order the records of an answer matter, so that a cut keeps the best."""
    from pycares import NAPTRRecordData, SRVRecordData

    if isinstance(data, SRVRecordData):
        return data.priority, 0
    if isinstance(data, NAPTRRecordData):
        return data.order, data.preference
    return 1 << 16, 0
