"""The `smcli` command: SMAPI functions for shell scripts that were written for the smcli of xCAT's zHCP and zthin.

A function's request, checks and reply come from its declaration in `smapi`; what is particular to smcli are two tables:
`options` (the letter of each parameter) and `forms` (the text of the replies that scripts read). May import `smapi`
only; must never know a function by a program of its own.
"""
