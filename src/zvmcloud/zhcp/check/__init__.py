"""`zvm zhcp check`: whether an installation has what the agent needs, and for each thing that is missing the line or
command that mends it.

    findings   what was found, as text and as JSON
    rights     what the agent needs: SMAPI functions, privilege classes, statements of its directory entry
    authlist   the authorization file: who may call what, lists expanded
    steps      the steps, each with what it needs from those before it

It may import what the rest of this room may, and the seams (`smapi_port`, `machine`); it changes nothing on z/VM, and
prints no secrets. A step whose means are missing is skipped, never guessed: mend what failed, and run it again.
"""
