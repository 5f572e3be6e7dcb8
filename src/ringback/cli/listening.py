"""The phone of ``ringback listen``."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, final

from ringback.callflow.correlate import printable
from ringback.cli.phone import inactive_audio
from ringback.cli.terminal import SUCCESS, print_json
from ringback.errors import CallEnded, TransportError
from ringback.protocol.routing.flow import format_address
from ringback.ua.signals import told_to_end

if TYPE_CHECKING:
    from ringback.cli.agent import Identity
    from ringback.ua import Call, IncomingRequest, UserAgent

DEFAULT_PORT = 5060


@final
class Phone:
    """Takes what comes, and prints it."""

    def __init__(self, identity: Identity, status: int, ring: float, count: int | None, as_json: bool) -> None:
        self._identity = identity
        self._status = status
        self._ring = ring
        self._left = count
        self._as_json = as_json
        self._enough: asyncio.Future[None]

    async def run(self, expires: int | None) -> int:
        """Until as many calls have come as were asked for, or a signal."""
        self._enough = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as stack:
            for port in (DEFAULT_PORT, 0):
                agent = self._identity.agent(sdp=inactive_audio(self._identity), accept=["text/plain"], port=port)
                agent.on_call(self._take_call)
                agent.on_request("MESSAGE")(self._take_message)
                try:
                    await stack.enter_async_context(agent)
                    break
                except TransportError:
                    if self._identity.given.local is not None or not port:
                        raise
            self._announce(agent)
            if expires is not None:
                granted = await agent.register(expires)
                self._say("registered", f"registered {agent.aor} for {granted} s", aor=agent.aor, expires=granted)
            with told_to_end() as told:
                ends: list[asyncio.Future[Any]] = [told, self._enough]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if told.done():
                    raise SystemExit(128 + told.result())
        return SUCCESS

    def _announce(self, agent: UserAgent) -> None:
        transport = self._identity.transports[0]
        for address in agent.addresses:
            place = f"{transport}:{format_address(address)}"
            self._say("listening", f"listening on {place} as {agent.aor}", listen=place, aor=agent.aor)

    async def _take_call(self, call: Call) -> None:
        whom = call.remote.uri_text
        self._say("call", f"call {call.number} from {whom}", call=call.number, peer=whom)
        over = call.ended  # so we are told of the end instead of being cancelled by it
        try:
            if self._ring:
                await call.ring()
                await asyncio.sleep(self._ring)
            await (call.answer() if self._status == 200 else call.reject(self._status))
        except CallEnded:
            pass  # the caller was faster
        reason = await over
        self._say("over", f"call {call.number} is over: {reason}", call=call.number, reason=str(reason))
        if self._left is not None:
            self._left -= 1
            if self._left <= 0 and not self._enough.done():
                self._enough.set_result(None)

    async def _take_message(self, incoming: IncomingRequest) -> None:
        whom = incoming.request.from_.uri_text
        text = incoming.body.decode("utf-8", "backslashreplace")
        self._say("message", f"message from {whom}: {text}", peer=whom, body=text)

    def _say(self, event: str, line: str, **facts: object) -> None:
        if self._identity.given.quiet:
            return
        if self._as_json:
            print_json({"event": event, **facts})
            return
        print(printable(line), flush=True)
