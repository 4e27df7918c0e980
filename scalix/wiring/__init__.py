"""The composition root: the one place that picks implementations and puts them together.

`core.py` puts together what is below the edge, from the parts that the other files build (`store.py` first);
`gate.py` the app of a worker, `plain.py` the hooks alone.
"""
