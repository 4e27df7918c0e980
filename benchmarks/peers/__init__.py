"""The peers by name. The others are compared with the first one, unless a load says otherwise."""

from benchmarks.peers.base import Peer
from benchmarks.peers.gateway import ScalixGateway
from benchmarks.peers.litellm import (
    LiteLLM,
    LiteLLMRefusing,
    LiteLLMRoutingByUse,
    LiteLLMWithPackages,
    LiteLLMWithRedis,
)
from benchmarks.peers.portkey import Portkey
from benchmarks.peers.routers import ROUTERS

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        LiteLLMWithPackages(),
        LiteLLM(),
        LiteLLMWithRedis(),
        LiteLLMRoutingByUse(),
        LiteLLMRefusing(),
        Portkey(),
        *ROUTERS,
        ScalixGateway(),
        ScalixGateway(
            "gateway-litellm", "this gateway, all through LiteLLM", settings={"scalix": {"engine": "litellm"}}
        ),
    )
}
