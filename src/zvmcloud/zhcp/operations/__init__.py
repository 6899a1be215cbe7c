"""The operations of the agent, one module per subject; `handlers.HANDLERS` maps a kind to the function that runs it.

Each checks everything first, observes before it acts, registers how to undo what it did, and returns what the caller
wants to know as JSON.
"""
