"""A phone that makes one call: it talks for two seconds and hangs up."""

import asyncio

from ringback import UserAgent

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\n"


async def main() -> None:
    async with UserAgent("sip:alice@127.0.0.1", listen="udp:127.0.0.1:0", sdp=SDP) as phone:
        call = await phone.call("sip:bob@127.0.0.1:5070")
        await asyncio.sleep(2)
        await call.hangup()
        print(f"talked to {call.remote.uri_text} for two seconds, then {await call.ended}")


asyncio.run(main())
