"""CP's command language, as the virtual machine that issues a command sees it.

    interpreter   finds the command, checks the issuer's privilege classes, runs it in a transaction
    query         QUERY and its operands
    devices       LINK, DETACH, ATTACH, DEFINE, COUPLE, UNCOUPLE
    reader        SPOOL, CHANGE, TRANSFER, PURGE, CLOSE
    users         XAUTOLOG, FORCE, SIGNAL, SEND, MESSAGE, LOGOFF, IPL, SET

Commands and operands may be abbreviated to what CP allows. A refused command changes nothing and answers with an HCP
message; its return code is the message's number.
"""

from zvmcloud.simulator.cp.interpreter import CpResult, execute, masked

__all__ = ["CpResult", "execute", "masked"]
