"""How a target is found: what ``options -v`` shows before it asks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ringback.cli.terminal import console

if TYPE_CHECKING:
    from ringback.cli.agent import Identity
    from ringback.protocol.routing.flow import Hop

PATIENCE = 5.0  # seconds for a handshake


async def show_path(identity: Identity) -> None:
    """NAPTR, SRV, addresses, and where that leads (RFC 3263); for the transports and families that we would use.

    Raises ``TransportError`` when it leads nowhere.
    """
    from ringback.callflow.correlate import printable
    from ringback.protocol.message.uri import Uri
    from ringback.protocol.routing.flow import format_address
    from ringback.protocol.routing.locate import Location, Reach
    from ringback.runtime.entropy import SystemIds
    from ringback.runtime.locator import reachable_hops

    transports = [name.upper() for name in identity.transports]
    families = identity.families or [6 if ":" in (identity.given.local or "").strip("[") else 4]
    location = Location.of_uri(Uri.parse(identity.next_uri), Reach(transports), SystemIds().number)
    resolver = identity.resolver()

    def reaches(transport: str, host: str) -> bool:
        return transport in transports and (6 if ":" in host else 4) in families

    out = console()
    try:
        hops = await reachable_hops(location, resolver, reaches)
        found = [f"{hop.transport.lower()} {format_address((hop.host, hop.port))}" for hop in hops]
    except Exception:
        found = []
        raise
    finally:
        resolver.close()
        for question, records in location.asked:
            said = ["no answer"] if records is None else [str(record) for record in records] or ["none"]
            for text in said:
                out.print(f"  {question.kind} {printable(question.name)}: {printable(text)}")
        if found:
            out.print(f"  to {', then '.join(found)}")
    if hops[0].transport == "TLS":
        says = await _certificate(identity, hops[0])
        out.print(f"  certificate: {printable(says)}")


async def _certificate(identity: Identity, hop: Hop) -> str:
    """Whom the server's certificate is for and how long still, from a handshake of our own; or why it is not known."""
    import ssl

    from ringback.transport.tls import certified_names

    given, profile = identity.given, identity.profile
    authorities = given.ca or profile.ca
    context = ssl.create_default_context(cafile=str(authorities) if authorities else None)
    context.check_hostname = False  # the request itself is held to RFC 5922
    own = given.cert or profile.cert
    if own is not None:
        context.load_cert_chain(own, given.key or profile.key)
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(hop.host, hop.port, ssl=context, server_hostname=hop.host)
    except (OSError, TimeoutError) as error:
        return f"not seen: {error}"
    certificate = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86400
    return f"for {', '.join(certified_names(certificate)) or 'nobody'}, {days:.0f} days left"
