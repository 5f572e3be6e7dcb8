"""A phone that calls: rings the answering phone, talks for two seconds, hangs up."""

import asyncio
import sys

from ringback import CallRejected, UserAgent

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\n"


async def main(uri: str) -> None:
    async with UserAgent("sip:alice@127.0.0.1", listen="udp:127.0.0.1:0", sdp=SDP) as phone:
        try:
            call = await phone.call(uri)
        except CallRejected as refusal:
            sys.exit(f"refused: {refusal}")
        print(f"answered: {call}")
        await asyncio.sleep(2)
        await call.hangup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "sip:bob@127.0.0.1:5070"))
