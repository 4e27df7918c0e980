"""The ASGI front door: routes, refusals, headers, our own HTTP answers."""
