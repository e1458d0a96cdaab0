"""A builder machine: what runs there before a stage can, over SSH and on EC2 instances.

Runs under the machine's own Python until the environment is in place: only the standard library is imported.
"""
