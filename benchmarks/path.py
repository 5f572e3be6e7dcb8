"""What the server's own code costs for each unit of work, without sockets and without another process.

Run ``python -m benchmarks.path``; with ``--profile`` the time of each room and of the dearest functions follows. A real
``Server`` with its store on disk gets its datagrams from a network in memory; only the time within the server counts,
by the CPU clock of its thread, the least of several rounds. So the figures hold on a busy machine, and can be told
apart by the part of the path that makes them. What they leave out is the kernel: receiving, sending and waking up.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import hashlib
import math
import pstats
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringback.protocol.routing.flow import Address
from ringback.runtime.stack import WAKE_GRID
from ringback.server.server import Server
from ringback.server.settings import build

SERVER: Address = ("127.0.0.1", 5060)
CALLER: Address = ("127.0.0.1", 5071)
PHONE: Address = ("127.0.0.1", 5081)
OTHER_PHONE: Address = ("127.0.0.1", 5082)
DOMAIN = "bench.test"
PASSWORD = "secret"  # noqa: S105 - of users that exist for a minute
USERS = 400
UNITS = 8  # under way at the same time
GROUPS = 50  # of so many units each, one after the other, make a round
A_TURN = 4  # datagrams taken in one turn: what a busy server finds
Datagram = tuple[bytes, Address]

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


class Memory:
    """A network of one socket: what it is given is received, what is sent is kept."""

    local = SERVER
    dropped = 0

    def __init__(self) -> None:
        self.incoming: list[Datagram] = []
        self.sent: list[Datagram] = []
        self.wake: Callable[[Any], None] = lambda endpoint: None

    async def open_datagram(self, host: str, port: int, on_readable: Callable[[Any], None]) -> Memory:
        self.wake = on_readable
        return self

    async def listen_stream(self, host: str, port: int, on_connection: Any) -> Any:
        raise NotImplementedError

    async def connect_stream(self, host: str, port: int, owner: Any, source: str | None = None) -> None:
        raise NotImplementedError

    def source_address(self, remote: str) -> str:
        return self.local[0]

    def receive(self, limit: int) -> list[Datagram]:
        taken, self.incoming = self.incoming[:limit], self.incoming[limit:]
        return taken

    def take_errors(self) -> list[Any]:
        return []

    def send(self, data: bytes, destination: Address) -> None:
        self.sent.append((data, destination))

    def close(self) -> None:
        pass


class SetClock:
    """Shows the time that it was set to."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time


class Bench:
    """A server at work, and the CPU seconds it has ``spent``."""

    def __init__(self, folder: Path, *, passwords: bool) -> None:
        settings = build(
            {
                "listen": [f"udp:{SERVER[0]}:{SERVER[1]}"],
                "domains": [DOMAIN],
                "store": f"sqlite:{folder / ('locked.db' if passwords else 'open.db')}",
                "open": not passwords,
            }
        )
        self.network = Memory()
        self.server = Server(settings, network=self.network)
        self.clock = self.server.stack.clock = SetClock()
        self.spent = 0.0
        self.profile: cProfile.Profile | None = None
        self.count = 0  # of units begun

    def measured(self, work: Callable[[], None]) -> None:
        """Do ``work`` and count its time."""
        profile = self.profile
        if profile is not None:
            profile.enable()
        start = time.thread_time()
        work()
        self.spent += time.thread_time() - start
        if profile is not None:
            profile.disable()

    def feed(self, datagrams: list[Datagram]) -> list[Datagram]:
        """What the server sends when these come, a few at a time, a thousand a second."""
        network, clock = self.network, self.clock
        network.sent = []

        def work() -> None:
            for at in range(0, len(datagrams), A_TURN):
                clock.time += A_TURN / 1000
                network.incoming = datagrams[at : at + A_TURN]
                network.wake(network)

        self.measured(work)
        return network.sent

    def run_out(self) -> None:
        """Let every timer expire, woken as the stack would wake."""
        stack, clock = self.server.stack, self.clock
        waiting = [stack.layer, *(core for core, _ in stack._shells)]

        def work() -> None:
            while deadlines := [due for it in waiting if (due := it.next_deadline()) is not None]:
                clock.time = math.ceil(min(deadlines) / WAKE_GRID) * WAKE_GRID + WAKE_GRID / 100
                stack._on_timer()

        self.measured(work)
        self.network.sent = []

    def begin(self) -> list[tuple[int, int]]:
        """User and number of the units that begin now. No unit had that number before."""
        self.count += UNITS
        return [(number % USERS, number) for number in range(self.count, self.count + UNITS)]


# The far ends


def request(method: str, uri: str, user: int, call: int, cseq: int, *more: str, to: str = "", body: str = "") -> bytes:
    host, port = CALLER
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-4321-{call}-{cseq}-{method};rport",
        "Max-Forwards: 70",
        f"From: <sip:caller@{DOMAIN}>;tag=4321-{call}" if method != "REGISTER" else f"From: <{aor(user)}>;tag=t{call}",
        f"To: {to or f'<{aor(user)}>'}",
        f"Call-ID: {call}-4321@127.0.0.1",
        f"CSeq: {cseq} {method}",
        *more,
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def aor(user: int) -> str:
    return f"sip:u{user}@{DOMAIN}"


def headers(data: bytes, *names: str) -> list[str]:
    """The header lines of these names, in order."""
    return [line for line in data.decode().split("\r\n\r\n")[0].split("\r\n")[1:] if line.partition(":")[0] in names]


def value(data: bytes, name: str) -> str:
    return headers(data, name)[0].partition(": ")[2]


def reply(sent: Datagram, status: str, *, body: str = "") -> Datagram:
    """What the phone at whose address ``sent`` arrived answers. As SIPp does, it puts all Via values into one line."""
    data, phone = sent
    vias = ", ".join(line.partition(": ")[2] for line in headers(data, "Via"))
    lines = [f"Via: {vias}", *headers(data, "Record-Route", "From", "To", "Call-ID", "CSeq")]
    lines = [f"{line};tag=far" if line.startswith("To:") and ";tag=" not in line else line for line in lines]
    contact = f"Contact: <sip:phone@{phone[0]}:{phone[1]}>"
    kind = ["Content-Type: application/sdp"] if body else []
    head = [f"SIP/2.0 {status}", *lines, contact, *kind, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(head).encode(), phone


def replies(sent: list[Datagram], status: str, *, body: str = "") -> list[Datagram]:
    return [reply(one, status, body=body) for one in sent]


def within(answer: bytes, method: str, user: int, call: int, cseq: int) -> Datagram:
    """A request of the caller within the dialog that ``answer`` made."""
    routes = [f"Route: {line.partition(': ')[2]}" for line in reversed(headers(answer, "Record-Route"))]
    target = value(answer, "Contact").strip("<>")
    return request(method, target, user, call, cseq, *routes, to=value(answer, "To")), CALLER


# The units: each does UNITS of them


def options(bench: Bench) -> None:
    uri = f"sip:{DOMAIN}"
    asked = [(request("OPTIONS", uri, 0, call, 1, to=f"<{uri}>"), CALLER) for _, call in bench.begin()]
    expect(bench.feed(asked), "SIP/2.0 200", UNITS)


def registers(bench: Bench, phone: Address, *, refresh: bool = False) -> list[Datagram]:
    return [
        (
            request(
                "REGISTER",
                f"sip:{DOMAIN}",
                user,
                10_000_000 + user if refresh else call,
                call if refresh else 1,
                f"Contact: <sip:u{user}@{phone[0]}:{phone[1]}>",
                "Expires: 7200",
            ),
            CALLER,
        )
        for user, call in bench.begin()
    ]


def register(bench: Bench) -> None:
    expect(bench.feed(registers(bench, PHONE, refresh=True)), "SIP/2.0 200", UNITS)


def digest(bench: Bench) -> None:
    """A REGISTER that is challenged, and the one that follows with credentials."""
    asked = registers(bench, PHONE)
    challenged = bench.feed(asked)
    expect(challenged, "SIP/2.0 401", UNITS)
    again = []
    for (data, phone), (answer, _) in zip(asked, challenged, strict=True):
        user = value(data, "To").partition("@")[0].removeprefix("<sip:")
        nonce = re.search('nonce="([^"]*)"', answer.decode())
        assert nonce is not None
        uri = f"sip:{DOMAIN}"
        ha1, ha2 = md5(f"{user}:{DOMAIN}:{PASSWORD}"), md5(f"REGISTER:{uri}")
        proof = md5(f"{ha1}:{nonce[1]}:00000001:c0ffee:auth:{ha2}")
        line = (
            f'Authorization: Digest username="{user}", realm="{DOMAIN}", nonce="{nonce[1]}", uri="{uri}",'
            f' response="{proof}", algorithm=MD5, cnonce="c0ffee", qop=auth, nc=00000001'
        )
        text = data.decode().replace("CSeq: 1 ", "CSeq: 2 ").replace("-1-REGISTER", "-2-REGISTER")
        again.append((text.replace("Content-Length", f"{line}\r\nContent-Length").encode(), phone))
    expect(bench.feed(again), "SIP/2.0 200", UNITS)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def message(bench: Bench) -> None:
    asked = [
        (request("MESSAGE", aor(user), user, call, 1, "Content-Type: text/plain", body="hello"), CALLER)
        for user, call in bench.begin()
    ]
    relayed = bench.feed(asked)
    expect(bench.feed(replies(relayed, "200 OK")), "SIP/2.0 200", UNITS)


def invite(user: int, call: int) -> Datagram:
    contact = f"Contact: <sip:caller@{CALLER[0]}:{CALLER[1]}>"
    more = (contact, "User-Agent: bench", "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS", "Content-Type: application/sdp")
    return request("INVITE", aor(user), user, call, 1, *more, body=SDP), CALLER


def call(bench: Bench) -> None:
    """INVITE, 180, 200, ACK, BYE, 200."""
    calls = bench.begin()
    relayed = bench.feed([invite(user, number) for user, number in calls])
    expect(relayed, "INVITE ", UNITS)
    bench.feed(replies(relayed, "180 Ringing"))
    hang_up(bench, calls, bench.feed(replies(relayed, "200 OK", body=SDP)))


def fork(bench: Bench) -> None:
    """The same with two phones that ring: one answers, the other is cancelled."""
    calls = bench.begin()
    relayed = bench.feed([invite(user, number) for user, number in calls])
    expect(relayed, "INVITE ", 2 * UNITS)
    bench.feed(replies(relayed, "180 Ringing"))
    winners = [one for one in relayed if one[1] == PHONE]
    losers = [one for one in relayed if one[1] == OTHER_PHONE]
    out = bench.feed(replies(winners, "200 OK", body=SDP))
    answers = [one for one in out if one[0].startswith(b"SIP/2.0 200")]
    cancels = [one for one in out if one[0].startswith(b"CANCEL")]
    expect(cancels, "CANCEL ", UNITS)
    bench.feed(replies(cancels, "200 OK"))
    expect(bench.feed(replies(losers, "487 Request Terminated")), "ACK ", UNITS)
    hang_up(bench, calls, answers)


def hang_up(bench: Bench, calls: list[tuple[int, int]], answers: list[Datagram]) -> None:
    expect(answers, "SIP/2.0 200", UNITS)
    dialogs = list(zip(answers, calls, strict=True))
    acks = bench.feed([within(answer, "ACK", user, number, 1) for (answer, _), (user, number) in dialogs])
    expect(acks, "ACK ", UNITS)
    byes = bench.feed([within(answer, "BYE", user, number, 2) for (answer, _), (user, number) in dialogs])
    expect(byes, "BYE ", UNITS)
    expect(bench.feed(replies(byes, "200 OK")), "SIP/2.0 200", UNITS)


def expect(sent: list[Datagram], start: str, count: int) -> None:
    """A measurement of something that went wrong says nothing."""
    right = sum(data.startswith(start.encode()) for data, _ in sent)
    if right != count or len(sent) != count:
        raise SystemExit(f"{count} times {start!r} expected, got {Counter(data.split()[0] for data, _ in sent)}")


# name, what makes one, datagrams received and sent by the server, phones that each user has
MEASURES: dict[str, tuple[Callable[[Bench], None], str, tuple[Address, ...]]] = {
    "options": (options, "1 in, 1 out", ()),
    "register": (register, "1 in, 1 out", (PHONE,)),
    "digest": (digest, "2 in, 2 out", ()),
    "message": (message, "2 in, 2 out", (PHONE,)),
    "call": (call, "6 in, 6 out", (PHONE,)),
    "fork": (fork, "9 in, 10 out", (PHONE, OTHER_PHONE)),
}


async def measure(name: str, folder: Path, rounds: int, show: int) -> None:
    unit, traffic, phones = MEASURES[name]
    bench = Bench(folder, passwords=name == "digest")
    if name == "digest":
        for user in range(USERS):
            bench.server.store.add_user(f"u{user}", DOMAIN, PASSWORD)
        bench.server.store.commit()
    await bench.server.start()
    for phone in phones:
        for _ in range(0, USERS, UNITS):
            expect(bench.feed(registers(bench, phone)), "SIP/2.0 200", UNITS)
    bench.run_out()
    best_work = best_rest = math.inf
    gc.collect()
    gc.freeze()
    gc.disable()
    for _ in range(rounds):
        bench.spent = 0.0
        for _ in range(GROUPS):
            unit(bench)
        work, bench.spent = bench.spent, 0.0
        bench.run_out()
        best_work = min(best_work, work)
        best_rest = min(best_rest, bench.spent)
    figures = best_work / (UNITS * GROUPS) * 1e6, best_rest / (UNITS * GROUPS) * 1e6
    left = {table: size for table, size in bench.server.counts().items() if size}
    print(f"{name:9} {sum(figures):7.1f} us  ({traffic}; {figures[1]:.1f} of it timers)  {left or ''}", flush=True)
    if show:
        bench.profile = cProfile.Profile()
        for _ in range(GROUPS):
            unit(bench)
        bench.run_out()
        print_profile(bench.profile, show)
    gc.enable()
    await bench.server.close()
    for file in folder.iterdir():
        file.unlink()


def print_profile(profile: cProfile.Profile, count: int) -> None:
    """Calls and time of each room, then of the dearest functions, for one unit. The profiler itself doubles the time;
    it charges what C does to the function that called it."""
    statistics: Any = pstats.Stats(profile)
    rooms: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    own: dict[str, tuple[float, float, float]] = {}
    whole = 0.0
    done = UNITS * GROUPS
    for (file, line, function), (_, number, inner, total, callers) in statistics.stats.items():
        whole += inner
        places = [(file, line, function, number, inner)]
        if file == "~":
            places = [(*caller[:2], caller[2], 0, times[2]) for caller, times in callers.items()]
        for where, at, label, made, seconds in places:
            room = Path(where).parent.name if "ringback" in where else "Python and the bench"
            room = f"{Path(where).parent.parent.name}/{room}" if "ringback" in where else room
            rooms[room] += seconds / done * 1e6
            calls[room] += made / done
            if "ringback" in where:
                key = f"{Path(where).stem}:{at} {label}"
                before = own.get(key, (0.0, 0.0, 0.0))
                mine = total / done * 1e6 if file != "~" else 0.0
                own[key] = (before[0] + made / done, before[1] + seconds / done * 1e6, before[2] + mine)
    print(f"  under the profiler {whole / done * 1e6:.0f} us")
    for room, took in rooms.most_common():
        print(f"  {took:7.1f} us {calls[room]:7.1f} calls  {room}")
    print("  the dearest functions: calls, own time, time with all they call")
    for key, (made, inner, total) in sorted(own.items(), key=lambda item: -item[1][1])[:count]:
        print(f"  {made:7.2f} {inner:7.2f} us {total:8.2f} us  {key}")


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.path", description=__doc__)
    arguments.add_argument("measures", nargs="*", help=", ".join(MEASURES))
    arguments.add_argument("--rounds", type=int, default=12)
    arguments.add_argument("--profile", type=int, default=0, metavar="N", help="show the N dearest functions")
    wanted = arguments.parse_args()
    for name in wanted.measures or MEASURES:
        with tempfile.TemporaryDirectory(prefix="ringback-path-") as folder:
            asyncio.run(measure(name, Path(folder), wanted.rounds, wanted.profile))


if __name__ == "__main__":
    main()
