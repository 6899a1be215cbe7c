"""zHCP: the agent of one z/VM system.

It validates, throttles, talks to SMAPI and CP, and owns a disk while it is written. Above it is a manager, which sends
small operations over HTTP; below it are two seams: `smapi_port` (the SMAPI request server) and `machine` (the virtual
machine it runs in: CP, punch, reader, in-guest agent, disks). Every operation has a key, is recorded in a journal
before it starts, is never run twice once it is done, and undoes what it did when it fails.

It may import the leaves (smapi, cp, directory, images) and nothing else of ours. It must never keep a copy of what
z/VM knows: each operation observes first, or where an answer is missing. Passwords stay out of logs, errors
and reported calls.
"""
