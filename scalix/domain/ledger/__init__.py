"""What is written down of requests and acts, and for how long."""
