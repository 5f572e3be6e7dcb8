"""What an operator decides about the proxy; everything else is the RFC's."""

from __future__ import annotations

from typing import final


@final
class ProxyPolicy:
    """The settings of a proxy core. Times are in seconds.

    ``secret``          key of the Record-Route token and the loop hash, 1 to 64 bytes; keep it over restarts, or
                        dialogs under way are taken for strangers
    ``timer_c``         longest silence of a ringing INVITE branch, above 180 (RFC 3261 §16.6 step 11)
    ``give_up``         how long a cancelled branch may owe its final response, 64*T1 (§9.1)
    ``record_route``    stay on the path of dialogs
    ``recurse``         try the Contacts of a 3xx ourselves instead of passing it up (§16.7 step 4)
    ``fork_serially``   when Max-Breadth is too small for a fork, try the rest as breadth becomes free; else 440
    ``max_breadth``     largest incoming Max-Breadth accepted, and the one written where there is none (RFC 5393 §5.3.3)
    ``max_targets``     most targets that one request may have in all, recursion included
    ``max_hops``        most addresses tried for one target (RFC 3263 failover)
    ``realms``          our authentication realms: credentials for them are not passed on
    ``schemes``         URI schemes that we route
    ``extensions``      option tags understood in Proxy-Require
    """

    __slots__ = (
        "extensions",
        "fork_serially",
        "give_up",
        "max_breadth",
        "max_hops",
        "max_targets",
        "realms",
        "record_route",
        "recurse",
        "schemes",
        "secret",
        "timer_c",
    )

    def __init__(
        self,
        secret: bytes,
        *,
        timer_c: float = 185.0,
        give_up: float = 32.0,
        record_route: bool = True,
        recurse: bool = False,
        fork_serially: bool = False,
        max_breadth: int = 60,
        max_targets: int = 100,
        max_hops: int = 5,
        realms: frozenset[str] = frozenset(),
        schemes: frozenset[str] = frozenset({"sip", "sips"}),
        extensions: frozenset[str] = frozenset(),
    ) -> None:
        self.secret = secret
        self.timer_c = timer_c
        self.give_up = give_up
        self.record_route = record_route
        self.recurse = recurse
        self.fork_serially = fork_serially
        self.max_breadth = max_breadth
        self.max_targets = max_targets
        self.max_hops = max_hops
        self.realms = realms
        self.schemes = schemes
        self.extensions = extensions
