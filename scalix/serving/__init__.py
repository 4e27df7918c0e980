"""The HTTP server of a worker: uvicorn's protocol with bounds, and answers in one write."""
