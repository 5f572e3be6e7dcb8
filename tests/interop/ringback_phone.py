"""Our own user agent as a process: a phone that answers every call, or one that makes one and ends."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from ringback.ua import Call, UserAgent
from tests.interop.process import LOOPBACK, Child, Children, free_port
from tests.interop.sip_socket import answers
from tests.interop.sipp import DOMAIN

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class RingbackPhone:
    """A running phone and its address. It says "ready", and of each call "answered" and "over"."""

    def __init__(self, child: Child, host: str, port: int) -> None:
        self.child = child
        self.port = port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def start_phone(
    children: Children,
    *,
    host: str = LOOPBACK,
    proxy: str | None = None,
    call: str | None = None,
    user: str = "phone",
    password: str | None = None,
) -> RingbackPhone:
    """Starts a phone on a free port.

    With ``call`` it calls that URI through ``proxy``, hangs up when answered, and ends. Otherwise it answers what
    comes; it is registered through ``proxy`` where there is a ``password``.
    """
    port = free_port(host)
    literal = f"[{host}]" if ":" in host else host
    command = [sys.executable, "-m", "tests.interop.ringback_phone", f"sip:{user}@{DOMAIN}", f"udp:{literal}:{port}"]
    command += ["--proxy", f"sip:{proxy};lr"] if proxy else []
    command += ["--call", call] if call else []
    secret = {"PHONE_PASSWORD": password} if password else {}
    child = children.start(f"phone-{user}", command, environment=secret)
    if call is None:
        child.wait_for_output("ready")
        answers((host, port), child)
    return RingbackPhone(child, host, port)


async def run(aor: str, listen: str, proxy: str | None, call: str | None) -> None:
    """The phone itself, until it is told to end or its one call is over."""
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    password = os.environ.get("PHONE_PASSWORD")
    async with UserAgent(aor, listen=listen, proxy=proxy, password=password, sdp=SDP) as ua:
        if call is not None:
            made = await ua.call(call)
            print("answered", flush=True)
            await made.hangup()
            print("over", flush=True)
            return

        @ua.on_call
        async def _(incoming: Call) -> None:
            await incoming.ring()
            await incoming.answer()
            print("answered", flush=True)
            await incoming.ended
            print("over", flush=True)

        if password is not None:
            await ua.register()
        print("ready", flush=True)
        await told_to_end.wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("aor")
    arguments.add_argument("listen")
    arguments.add_argument("--proxy")
    arguments.add_argument("--call")
    asyncio.run(run(**vars(arguments.parse_args())))
