"""The CP language: commands that cannot be injected, answers as values, and the messages CP speaks with.

CP, the control program of z/VM, takes commands as one line of text and answers with lines of text and a return code,
which on refusal is the number of the message it wrote. This room knows that text and nothing else: `commands` builds
lines from validated operands, `answers` reads lines into values, `messages` is the catalogue both ends share.

It does no input or output, keeps no state, and imports no other room. It must never run a command: where a command
goes (`/dev/vmcp`, a simulator's port) is decided by the caller.
"""
