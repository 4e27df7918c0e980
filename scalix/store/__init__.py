"""Where counters live: the protocol, a memory implementation and the Redis one."""
