"""Disk images: what is on a z/VM minidisk, as bytes.

The room knows tracks and blocks (`tracks`), the image file that travels between systems (`header`, `ckd`), the file
that stands for a minidisk (`diskfile`), the layouts on it (`cdl`, `ipl`), the small system used in demonstrations
(`sample`, `cpio`), the config drive that a new guest reads (`configdrive`), and what a CoreOS on a SCSI disk starts
from (`zipl`, `gpt`, `ext4`, `coreos`). The agent writes with it, the simulator boots with it: one definition of every
format.

It imports no other room, opens no connection, and never looks at anything but the files and bytes it is given. Streams
are read and written in bounded memory.
"""
