"""The composition root: the one place that picks implementations and puts them together.

`core.py`: what is below the edge. `gate.py`: the worker's app. `plain.py`: the hooks alone.
"""
