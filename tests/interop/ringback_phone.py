"""Our own user agent as a process: a phone that answers every call, or one that makes one and ends."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from ringback.ua import Call, UserAgent
from tests.interop.process import LOOPBACK, Child, Children, free_port
from tests.interop.sip_socket import answers
from tests.interop.sipp import DOMAIN

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class RingbackPhone:
    """A running phone and its address."""

    def __init__(self, child: Child, host: str, port: int) -> None:
        self.child = child
        self.port = port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def start_phone(
    children: Children, *, host: str = LOOPBACK, proxy: str | None = None, call: str | None = None, user: str = "phone"
) -> RingbackPhone:
    """Starts a phone on a free port. With ``call`` it calls that URI through ``proxy``, says "over" and ends."""
    port = free_port(host)
    literal = f"[{host}]" if ":" in host else host
    command = [sys.executable, "-m", "tests.interop.ringback_phone", f"sip:{user}@{DOMAIN}", f"udp:{literal}:{port}"]
    command += ["--proxy", f"sip:{proxy};lr"] if proxy else []
    command += ["--call", call] if call else []
    child = children.start(f"phone-{user}", command)
    if call is None:
        answers((host, port), child)
    return RingbackPhone(child, host, port)


async def run(aor: str, listen: str, proxy: str | None, call: str | None) -> None:
    """The phone itself, until it is told to end or its one call is over."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with UserAgent(aor, listen=listen, proxy=proxy) as ua:
        if call is not None:
            made = await ua.call(call, body=SDP, content_type="application/sdp")
            await made.hangup()
            print("over", flush=True)
            return

        @ua.on_call
        async def _(incoming: Call) -> None:
            await incoming.ring()
            await incoming.answer(SDP)
            await incoming.ended

        await over.wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("aor")
    arguments.add_argument("listen")
    arguments.add_argument("--proxy")
    arguments.add_argument("--call")
    asyncio.run(run(**vars(arguments.parse_args())))
