"""CP's command language, as the virtual machine that issues a command sees it.

    interpreter   finds the command, checks the issuer's privilege classes, runs it in a transaction
    query         QUERY; its operands are in query_users, query_virtual, query_disks, query_devices, query_networks,
                  query_system, query_spool
    devices       LINK, DETACH, ATTACH                define     DEFINE
    networks      COUPLE, UNCOUPLE; VSWITCHes of DEFINE, SET and DETACH; lans: guest LANs of the same
    vary          VARY                                trace      TRACE        at    AT
    reader        SPOOL, CHANGE, TRANSFER, PURGE, ORDER, CLOSE, TAG
    users         XAUTOLOG, AUTOLOG, FORCE, SIGNAL, SEND, MESSAGE, SMSG, WARNING
    power         IPL, SYSTEM, BEGIN, STOP, LOGOFF, DISCONNECT, SHUTDOWN, SNAPDUMP
    settings      SET, TERMINAL                       indicate   INDICATE
    flashcopy     FLASHCOPY                           relocate   VMRELOCATE, and QUERY SSI and RELODOMAIN

A command that the issuer's classes do not cover is to CP no command at all (HCPCMD001E); an operand of QUERY, SET or
DEFINE that they do not cover is an invalid option (003E). Commands and operands may be abbreviated to what CP allows.
A refused command changes nothing and answers with an HCP message; its return code is the message's number.
"""

from zvmcloud.simulator.cp.interpreter import CpResult, execute, masked

__all__ = ["CpResult", "execute", "masked"]
