"""Speaking to Redis or Valkey: connections, time limits, scripts."""
