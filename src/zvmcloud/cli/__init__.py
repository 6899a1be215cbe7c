"""`zvm`, the command line.

Commands that talk to a manager go through `zvmcloud.client`. The programs of other rooms (the simulator, the agent, the
manager, the SMAPI tools) are started by name, not imported: each has a `program` module with a typer application.
"""
