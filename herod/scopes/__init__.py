"""The scope engine: all authorization decisions.

Pure: no I/O, no clock, no randomness. `now` is an argument, in Unix seconds.
"""
