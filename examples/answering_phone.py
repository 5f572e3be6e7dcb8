"""A phone that answers: whoever calls it is answered, and it says when they have hung up."""

import asyncio

from ringback import Call, UserAgent

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


async def main() -> None:
    async with UserAgent("sip:bob@127.0.0.1", listen="udp:127.0.0.1:5070", sdp=SDP) as phone:

        @phone.on_call
        async def take(call: Call) -> None:
            await call.ring()
            await call.answer()
            print(f"talking to {call.remote.uri_text}; over: {await call.ended}")

        print(f"waiting for calls at {phone.uri}")
        await phone.run_forever()


if __name__ == "__main__":
    asyncio.run(main())
