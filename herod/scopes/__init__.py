"""The scope engine: who may do what, decided in one place.

Pure: no I/O, no clock, no randomness. `now` is an argument, in Unix seconds.
"""
