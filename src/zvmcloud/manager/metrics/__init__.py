"""Figures for a monitoring system: of the manager itself, of every z/VM system and of every guest.

Rates are made by who keeps the samples, so counters are given as z/VM counts them; they begin again at a logon. A
system that does not answer has ``zvm_up`` 0 and no figures, never old ones. Writing the text is a few lines, and a
client library would keep a copy of each of the hundred thousand series; so there is none.
"""
