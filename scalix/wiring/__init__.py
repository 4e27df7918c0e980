"""The composition root: the only place that picks implementations and connects them.

`core.py` builds everything below the edge from the parts of the other files, `store.py` first. `gate.py` builds the
app of a worker, `plain.py` the hooks alone.
"""
