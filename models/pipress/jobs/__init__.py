"""Stages as detached jobs: submitted, attached to by key, stopped, picked up again.

Nothing here imports more than the standard library until a job is at work, so that attaching takes no time.
"""
