"""A phone that answers every call, and goes on until it is stopped."""

from ringback import Call, UserAgent

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
phone = UserAgent("sip:bob@127.0.0.1", listen="udp:127.0.0.1:5070", sdp=SDP)


@phone.on_call
async def take(call: Call) -> None:
    await call.answer()
    print(f"{call.remote.uri_text} is on the line", flush=True)
    print(f"the call is over: {await call.ended}", flush=True)


print("waiting for calls to sip:bob@127.0.0.1:5070", flush=True)
phone.run()
