"""What `make bench-python` runs: the Python package beside its peers. See `__main__.py`."""
