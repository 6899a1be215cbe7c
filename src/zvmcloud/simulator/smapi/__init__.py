"""The request server of SMAPI and the functions behind it.

    server     TCP and TLS: reads one request, sends the request id as a write of its own, works, replies, closes
    dispatch   authentication, authorization, parameters, the transaction, asynchronous operations
    access     AUTHLIST and NAMELIST
    images, definitions, disks, volumes, adapters, switches, switch_queries, queries, lists, profiles   the functions

A function is a handler registered for its request type; which there are is the registry's answer, nothing else's.
"""
