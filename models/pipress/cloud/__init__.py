"""Instances that exist only while a stage needs them: how work reaches one, what runs on it, and what ends it.

An instance takes its jobs from the bucket and reports to it; nobody connects to it. Its processes run
under the system's Python, before any environment is in place: only `run` imports more than the standard library.
"""
