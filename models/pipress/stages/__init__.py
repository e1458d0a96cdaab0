"""One module per stage, each with `run(spec, inputs, out)` that reads top to bottom.

`TOOLS` in a stage names the pinned tools that decide what it makes: a new version of one gives the stage a new key.
"""
