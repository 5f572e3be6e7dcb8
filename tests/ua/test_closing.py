"""A user agent that is closed leaves nothing, however it came to that."""

from __future__ import annotations

import logging

import pytest

from ringback import Call, UserAgent
from ringback.testing.world import World


def phone(world: World, name: str, address: str) -> UserAgent:
    host = world.host(address)
    return UserAgent(
        f"sip:{name}@{address}",
        listen=f"udp:{address}:5060",
        network=host,
        resolver=host,
        clock=host.clock,
        ids=host.ids,
    )


def test_a_closed_user_agent_has_nothing_in_its_tables(world: World) -> None:
    alice, bob = phone(world, "alice", "10.0.0.1"), phone(world, "bob", "10.0.0.2")

    @bob.on_call
    async def take(call: Call) -> None:
        await call.answer()

    async def scenario() -> None:
        async with alice, bob:
            call = await alice.call("sip:bob@10.0.0.2")
            await call.hangup()
            alice.dial("sip:nobody@10.0.0.9")
            alice.dial("sip:nobody@nowhere.test")
        for agent in (alice, bob):
            assert set(agent.counts().values()) == {0}

    world.run(scenario())


def test_the_library_logs_to_nobody_who_has_not_asked() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("ringback").handlers)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_program_that_only_answers_ends_at_a_signal_with_its_phone_closed(number: str) -> None:
    """As a process: what a person sees of Ctrl-C is the exit code, and no traceback."""
    import signal
    import subprocess
    import sys

    program = (
        "import asyncio\nfrom ringback import UserAgent\n"
        "async def main():\n"
        "    try:\n"
        "        async with UserAgent('sip:bob@127.0.0.1', listen='udp:127.0.0.1:0') as phone:\n"
        "            asyncio.get_running_loop().call_soon(lambda: print('up', flush=True))\n"
        "            await phone.run_forever()\n"
        "    finally:\n"
        "        print(sum(phone.counts().values()))\n"
        "asyncio.run(main())\n"
    )
    code = getattr(signal, number)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(code)
        said, complained = process.communicate(timeout=10)
    assert (said, complained, process.returncode) == ("0\n", "", 128 + code)
