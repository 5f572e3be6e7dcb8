"""How a target is found: what ``options -v`` shows before it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.cli.terminal import console

if TYPE_CHECKING:
    from ringback.cli.agent import Identity


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
