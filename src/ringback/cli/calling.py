"""One call of ``ringback call``: dialled, waited for, talked in, ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.cli.shared import Asking, seconds
from ringback.cli.terminal import complain
from ringback.errors import CallRejected
from ringback.protocol.cores.ua_events import CallAnswered, CallOver, CallProgress

if TYPE_CHECKING:
    from ringback.cli.agent import Identity
    from ringback.protocol.message.model import Response
    from ringback.ua import Call, UserAgent


async def talk(agent: UserAgent, identity: Identity, given: Asking, body: bytes, talks: float) -> Response:
    """One call from its beginning to its end; the response that decided it."""
    call = agent.dial(identity.uri, body=body, content_type=given.content_type, headers=given.headers)
    watching = asyncio.ensure_future(_report(call, given))
    try:
        try:
            async with asyncio.timeout(seconds(given.timeout, "--timeout")):
                await call.answered()
        except CallRejected as refusal:
            response: Response = refusal.response
            return response
        except asyncio.CancelledError:
            await asyncio.shield(call.cancel())  # it rang for too long
            raise
        try:
            await asyncio.wait_for(asyncio.shield(_end_of(call)), talks)
        except TimeoutError:
            await call.hangup()
        assert call.response is not None
        return call.response
    finally:
        if call.ended:
            await watching
        else:
            watching.cancel()


async def _end_of(call: Call) -> None:
    await call.ended


async def _report(call: Call, given: Asking) -> None:
    """Say what happens, as it happens, on standard error: the answer itself is data."""
    async for event in call.events():
        if given.quiet or given.nagios or given.form != "table":
            continue
        if isinstance(event, CallProgress):
            complain(f"{event.response.status} {event.response.reason}")
        elif isinstance(event, CallAnswered):
            complain(f"{event.response.status} {event.response.reason}, the call is up")
        elif isinstance(event, CallOver) and call.response is not None:
            complain(f"the call is over: {event.reason}")
