"""The user agent: a phone in a few lines, over the same core as everything else.

async with UserAgent("sip:alice@example.test", password="…", proxy="sip:proxy.example.test") as ua:
    await ua.register()
    call = await ua.call("sip:bob@example.test", body=sdp)
    await call.hangup()
"""

from ringback.ua.call import Call
from ringback.ua.incoming import IncomingRequest
from ringback.ua.user_agent import UserAgent

__all__ = ["Call", "IncomingRequest", "UserAgent"]
