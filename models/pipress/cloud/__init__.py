"""Boxes that exist only while a stage needs them: how work reaches one, what runs on it, and what ends it.

A box takes its jobs from the bucket and reports to it; nobody connects to it. What runs on the box runs under its own
Python, before any environment is in place: nothing but `run` imports more than the standard library.
"""
