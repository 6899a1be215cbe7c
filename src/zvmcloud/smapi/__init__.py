"""The wire of the z/VM Systems Management API (SMAPI): what a z/VM's request servers read and write.

This room knows bytes and names, and nothing about what a function does. It is a leaf: it imports no other room,
and its core (layouts, declarations, connections) does no I/O. Only `client` and `blocking` open sockets.

===================  ==========================================================================================
`functions`          one declaration per SMAPI function; everything else is derived from these
`spelling`           the bytes of one message, walked over or collected, and how its peer spelled it
`layout`             the field types of the wire and their limits
`declare`            from an annotated class to a `Function`: encode, decode, check
`registry`           all known functions; sites register their own here
`connection`         sans-I/O state machines of both sides of one connection
`client`             asyncio client: retries, time-outs, asynchronous directory work
`blocking`           the same client for programs without an event loop
`events`             the records of Event_Subscribe
`codes`              what return and reason codes mean, and whether a retry helps
`errors`             the one exception tree of the room
`recording`          replays recorded exchanges through the codec and tells every byte that differs
===================  ==========================================================================================
"""
