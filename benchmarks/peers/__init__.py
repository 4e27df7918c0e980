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

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        LiteLLMWithPackages(),
        LiteLLM(),
        LiteLLMWithRedis(),
        LiteLLMRoutingByUse(),
        LiteLLMRefusing(),
        Portkey(),
        ScalixGateway(),
    )
}
