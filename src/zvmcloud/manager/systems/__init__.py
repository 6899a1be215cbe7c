"""The z/VM systems of a manager: those of its settings, and those that came at run time, by API or by enrollment.

::

    admin:    POST /v1/systems/ZVM5/enrollment      --> a token, once, that names the CA it will answer with
    agent:    zvm zhcp enroll --manager URL --token T
                 makes a key that never leaves it, sends a certificate request with the token
    manager:  takes the token back, signs for the agent's host name, adds the system
    from then on: TLS both ways. The agent lets in who has a client certificate of this CA: the manager.

Certificates of agents are for servers only, so one agent cannot act as the manager towards another.
"""
