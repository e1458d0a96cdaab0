"""A machine reached over SSH as a builder: what runs there before a stage can.

Runs under the box's own Python until the environment is in place: nothing here imports more than the standard library.
"""
