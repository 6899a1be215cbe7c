"""CP command by command: what a prepared system answers, and every way to be refused.

MAINT has all classes, LINUX01 class G, ZHCP classes B, C, E and G. A row is userid, command, return code and the line
that the answer begins with, or, with an ellipsis in front, contains.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.cp_system import prepare
from zvmcloud.cp import answers
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.sample import sample_tracks
from zvmcloud.images.tracks import Record, Track
from zvmcloud.simulator import spool, storage
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model import UnitRecord
from zvmcloud.simulator.system import System


@pytest.fixture
def vm(system: System) -> System:
    return prepare(system)


def cp(vm: System, userid: str, command: str) -> tuple[int, list[str]]:
    result = execute(vm, userid, command)
    return result.rc, list(result.lines)


QUERIES = [
    ("LINUX01", "Q USERID", 0, "LINUX01  AT ZVM1"),
    ("LINUX01", "#CP Q USERID", 0, "LINUX01  AT ZVM1"),
    ("LINUX01", "CP CP QUERY USERID", 0, "LINUX01  AT ZVM1"),
    ("LINUX01", "Q TIME", 0, "TIME IS 12:26:40 UTC SUNDAY 09/13/20"),
    ("LINUX01", "Q CPLEVEL", 0, "z/VM Version 7 Release 2.0"),
    ("LINUX01", "Q CPUID", 0, "CPUID = FF"),
    ("LINUX01", "Q N", 0, "...LINUX01  - DSC"),
    ("LINUX01", "Q USERS", 0, "...USERS,    0 DIALED"),
    ("LINUX01", "Q USER LINUX02", 45, "HCPCQU045E LINUX02 not logged on"),
    ("LINUX01", "Q PRIV", 0, "...Currently: G"),
    ("LINUX01", "Q PRIV MAINT", 3, "HCPQPC003E"),
    ("MAINT", "Q PRIV NOBODY", 53, "HCPQPC053E"),
    ("LINUX01", "Q SHARE", 0, "USER LINUX01 : RELATIVE SHARE = 100"),
    ("LINUX01", "Q SHARE MAINT", 3, "HCPSHA003E"),
    ("LINUX01", "Q SET", 0, "MSG ON  , WNG ON"),
    ("LINUX01", "Q SECUSER", 0, "LINUX01 has no secondary user"),
    ("LINUX01", "Q VCONFIG", 0, "MODE = ESA390"),
    ("LINUX01", "Q TERM", 0, "LINEND #"),
    ("MAINT", "Q SIGNAL SHUTDOWN", 0, "No users are enabled for signals of type SHUTDOWN"),
    ("MAINT", "Q SIGNAL SHUTDOWNTIME", 0, "System default shutdown signal timeout: 300 seconds"),
    ("LINUX01", "Q V", 0, "STORAGE = 2G"),
    ("LINUX01", "Q V ALL", 0, "...CONS 0009 DISCONNECTED TERM START"),
    ("LINUX01", "Q V DASD", 0, "DASD 0100 3390 LX0001 R/W          5 CYL ON DASD  6000 SUBCHANNEL = "),
    ("LINUX01", "Q V 100-101", 0, "DASD 0100"),
    ("LINUX01", "Q V 1001", 0, "OSA  1001 ON NIC  1000  UNIT 001 SUBCHANNEL ="),
    ("LINUX01", "Q V STOR", 0, "STORAGE = 2G"),
    ("LINUX01", "Q V CPUS", 0, "CPU 00  ID  FF07729639060000 (BASE)"),
    ("LINUX01", "Q V RDR", 0, "RDR  000C CL * NOCONT NOHOLD   EOF        READY"),
    ("LINUX01", "Q V FCP", 40, "HCPQVD040E Device FCP does not exist"),
    ("LINUX01", "Q V XYZ", 22, "HCPLNM022E"),
    ("LINUX01", "Q V 100-", 9, "HCPCFC009E Invalid range - 100-"),
    ("LINUX01", "Q NIC", 0, "Adapter 1000.P00 Type: QDIO      Name: UNASSIGNED  Devices: 3"),
    ("LINUX01", "Q NIC 1000 DETAILS", 0, "...Connection Name: HALLOLE   State:"),
    ("LINUX01", "Q NIC 2000", 40, "HCPQVD040E Device 2000 does not exist"),
    ("LINUX01", "Q STOR", 0, "STORAGE = 2G MAX = 4G INC = 128M STANDBY = 0G  RESERVED = 2G"),
    ("MAINT", "Q STOR", 0, "STORAGE = 64G CONFIGURED = 64G INC = 1M STANDBY = 0  RESERVED = 0"),
    ("LINUX01", "Q LINKS 100", 0, "LINUX01  0100 R/W"),
    ("LINUX01", "Q LINKS 9", 40, "HCPQVD040E"),
    ("LINUX01", "Q MDISK ALL", 0, "TargetID Tdev OwnerID  Odev Dtype Vol-ID Rdev   StartLoc       Size"),
    ("LINUX01", "Q MDISK 100 LOCATION", 0, "...LINUX01  0100 LINUX01  0100 3390  LX0001 6000          1          5"),
    ("LINUX01", "Q MDISK USERID MAINT ALL", 3, "HCPQMD003E"),
    ("MAINT", "Q MDISK USERID LINUX02 ALL", 45, "HCPQMD045E"),
    ("MAINT", "Q MDISK USERID LINUX02 100 LOCATION DIRECTORY", 0, "...LINUX02  0100 LINUX02  0100 3390  LX0001"),
    ("MAINT", "Q MDISK USERID LINUX02 777 DIRECTORY", 40, "HCPQMD040E Device 0777 does not exist"),
    ("LINUX01", "Q DASD", 3, "HCPCQV003E Invalid option - DASD"),
    ("MAINT", "Q DASD", 0, "DASD 5000 CP OWNED  M01RES"),
    ("MAINT", "Q DASD FREE", 0, "DASD 7000 FREE    , DASD 7001 FREE"),
    ("MAINT", "Q DASD OFFLINE", 0, "An offline DASD was not found."),
    ("MAINT", "Q DASD SYSTEM LX0001", 0, "DASD 6000 CP SYSTEM LX0001   2"),
    ("MAINT", "Q DASD SYSTEM NOVOL", 3, "HCPQDA003E"),
    ("MAINT", "Q DASD DETAILS 6000", 0, "6000  CUTYPE = 2107-E8, DEVTYPE = 3390-0A, VOLSER = LX0001, CYLS = 21"),
    ("MAINT", "Q DASD DETAILS 6FFF", 40, "HCPQDA040E"),
    ("MAINT", "Q DASD LX0001", 0, "DASD 6000 CP SYSTEM LX0001   2"),
    ("MAINT", "Q 6000", 0, "DASD 6000 CP SYSTEM LX0001"),
    ("LINUX01", "Q 6000", 40, "HCPQVD040E Device 6000 does not exist"),
    ("MAINT", "Q OSA", 0, "An active OSA was not found."),
    ("MAINT", "Q OSA FREE", 0, "OSA  1000 FREE    , OSA  1001 FREE"),
    ("MAINT", "Q OSA 9999", 40, "HCPQOS040E"),
    ("MAINT", "Q FCP FREE", 0, "FCP  1A00 FREE"),
    ("MAINT", "Q FCP WWPN C05076DDF7001A02", 0, "FCP  1A02 FREE"),
    ("MAINT", "Q FCP NONSENSE", 3, "HCPQFC003E"),
    ("MAINT", "Q EDEV", 0, "EDEVICE information not found."),
    ("MAINT", "Q EDEV 9000", 40, "HCPQED040E"),
    ("MAINT", "Q CHPIDV", 0, "One path CHPID Virtualization is on"),
    ("MAINT", "Q CHPID 1F", 0, "Path 1F online to devices 1F00 1F01"),
    ("MAINT", "Q CHPID 1F PCHID", 0, "Path 1F is associated with physical channel 021F"),
    ("MAINT", "Q CHPID 99 PCHID", 846, "HCPQPA846E Invalid channel path identifier."),
    ("MAINT", "Q PATHS 6000", 0, "Device 6000, Status ONLINE"),
    ("MAINT", "Q CPOWNED", 0, "Slot  Vol-ID  Rdev  Type   Status"),
    ("LINUX01", "Q CHPIDV", 3, "HCPCQV003E Invalid option - CHPIDV"),
    ("MAINT", "Q PROC", 0, "PROCESSOR 00 MASTER CP"),
    ("MAINT", "Q FRAMES", 0, "All Frames:"),
    ("MAINT", "Q ALLOC", 0, "DASD 5000 M01RES 3390 CKD-ECKD (UNITS IN CYLINDERS)"),
    ("MAINT", "Q ALLOC PAGE", 0, "...M01P01 5002"),
    ("MAINT", "Q ALLOC NONSENSE", 3, "HCPQAL003E"),
    ("MAINT", "Q MONITOR", 0, "MONITOR EVENT ACTIVE"),
    ("MAINT", "Q SSI", 0, "This system is not a member of an SSI cluster."),
    ("MAINT", "Q RELODOMAIN D1", 1944, "HCPQRD1944E"),
    ("MAINT", "Q SHUTDOWN", 0, "No system shutdown is pending"),
    ("MAINT", "Q VSWITCH", 0, "VSWITCH SYSTEM VSW1     Type: QDIO    Connected: 1    Maxconn: INFINITE"),
    ("MAINT", "Q VSWITCH VSW1 DETAILS", 0, "...Adapter Owner: LINUX01  NIC: 1000.P00"),
    ("MAINT", "Q VSWITCH VSW1 ACCESSLIST", 0, "...LINUX01  Porttype: Access VLAN: 0010"),
    ("MAINT", "Q VSWITCH NOSW", 2788, "HCPSWU2788E"),
    ("MAINT", "Q LAN", 0, "LAN SYSTEM LAN1         Type: QDIO    Connected: 0    Maxconn: INFINITE"),
    ("MAINT", "Q LAN NOLAN", 2784, "HCPNDL2784E"),
    ("MAINT", "Q VMLAN", 0, "...MACADDR Prefix: 020000      USER Prefix: 020000"),
    ("MAINT", "Q CONTROLLER", 0, "Controller DTCVSW1  Available: YES"),
    ("ZHCP", "Q RDR", 0, "ORIGINID FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST"),
    ("ZHCP", "Q RDR 1", 0, "...LINUX01  0001 A PUN 00000003 001 NONE"),
    ("ZHCP", "Q RDR ALL CLASS B", 0, "NO RDR FILES"),
    ("ZHCP", "Q RDR USERID LINUX01", 7, "HCPCSU007E"),
    ("MAINT", "Q RDR USERID ZHCP", 0, "...LINUX01  0001 A PUN"),
    ("MAINT", "Q PRT", 0, "NO PRT FILES"),
    ("ZHCP", "Q FILES", 0, "FILES: 0001 RDR,   NO PRT,   NO PUN"),
    ("LINUX01", "Q NONSENSE", 3, "HCPCQV003E Invalid option - NONSENSE"),
    ("LINUX01", "Q", 26, "HCPCFC026E"),
]

COMMANDS = [
    ("MAINT", "ATTACH 7000 LINUX01 200", 0, "DASD 7000 ATTACHED TO LINUX01 0200 WITH DEVCTL"),
    ("MAINT", "ATTACH 1F00-1F02 TO LINUX01 AS 600", 0, "OSA  1F00 ATTACHED TO LINUX01 0600"),
    ("MAINT", "ATTACH 1A00 *", 0, "FCP  1A00 ATTACHED TO MAINT 1A00"),
    ("MAINT", "ATTACH 6000 LINUX01", 125, "HCPATR125E DASD 6000 in use by CP"),
    ("MAINT", "ATTACH 7000 LINUX02", 45, "HCPCQU045E"),
    ("MAINT", "ATTACH 7000 LINUX01 100", 92, "HCPLNM092E"),
    ("MAINT", "ATTACH 9999 LINUX01", 40, "HCPATR040E"),
    ("MAINT", "ATTACH XYZ LINUX01", 21, "HCPATR021E"),
    ("LINUX01", "ATTACH 7000 *", 1, "HCPCMD001E Unknown CP command: ATTACH"),
    ("MAINT", "DETACH 7000 FROM LINUX01", 121, "HCPDTR121E DASD 7000 not attached to LINUX01"),
    ("MAINT", "DETACH 6000 SYSTEM", 124, "HCPDTR124E"),
    ("MAINT", "DETACH 5000 SYSTEM", 125, "HCPDTR125E"),
    ("MAINT", "DETACH 9999 SYSTEM", 40, "HCPDTR040E"),
    ("LINUX01", "DETACH 101", 0, "DASD 0101 DETACHED"),
    ("LINUX01", "DET 100-101", 0, "DASD 0100 DETACHED"),
    ("LINUX01", "DET NIC 1000", 0, "NIC 1000 is destroyed; devices 1000-1002 detached"),
    ("LINUX01", "DET CPU 00", 1459, "HCPCPU1459E"),
    ("LINUX01", "DET CPU 05", 1458, "HCPCPU1458E"),
    ("LINUX01", "DET 260C", 40, "HCPDTV040E Device 260C does not exist"),
    ("MAINT", "VARY OFF 7000 7001", 0, "7000 varied offline"),
    ("MAINT", "VARY OFF 6000", 124, "HCPDTR124E"),
    ("MAINT", "VARY OFF 9999", 40, "HCPCPV040E"),
    ("MAINT", "VARY OFF CHPID 1F", 0, "CHPID 1F varied offline"),
    ("MAINT", "VARY OFF CHPID 99", 846, "HCPCPV846E"),
    ("MAINT", "VARY SIDEWAYS 7000", 3, "HCPCPV003E"),
    ("LINUX01", "DEFINE NIC 600", 0, "NIC 0600 is created; devices 0600-0602 defined"),
    ("LINUX01", "DEF NIC 600 HIPER DEV 6", 0, "NIC 0600 is created; devices 0600-0605 defined"),
    ("LINUX01", "DEF NIC 0FFF", 92, "HCPLNM092E NIC 1000 not linked"),
    ("LINUX01", "DEF NIC FFFE", 22, "HCPDFN022E"),
    ("LINUX01", "DEF NIC 600 TYPE TOKENRING", 3, "HCPDFN003E"),
    ("LINUX01", "DEF CPU 01 02", 0, "CPU 01 defined"),
    ("LINUX01", "DEF CPU 01-03", 0, "CPU 01 defined"),
    ("LINUX01", "DEF CPU 00", 1457, "HCPDFC1457E"),
    ("LINUX01", "DEF CPU 01-0F", 1460, "HCPDFC1460E"),
    ("LINUX01", "DEF CPU 7F", 26, "HCPDFC026E"),
    ("LINUX01", "DEF STOR 1G", 0, "STORAGE = 1G"),
    ("LINUX01", "DEF STOR 8G", 94, "HCPDST094E"),
    ("LINUX01", "DEF STOR STANDBY 1G", 0, "STORAGE = 2G MAX = 4G INC = 128M STANDBY = 1G  RESERVED = 1G"),
    ("LINUX01", "DEF STOR RESERVED 2048M", 0, "STORAGE = 2G MAX = 4G INC = 128M STANDBY = 0G  RESERVED = 2G"),
    ("LINUX01", "DEF STOR INITIAL STANDBY REMAINDER", 0, "STORAGE = 2G MAX = 4G INC = 128M STANDBY = 2G"),
    ("LINUX01", "DEF STOR STANDBY 3G", 1003, "HCPDST1003E"),
    ("LINUX01", "DEF STOR MUCH", 26, "HCPDST026E"),
    ("LINUX01", "DEF VFB-512 AS 300 BLK 1000", 0, "DASD 0300 DEFINED"),
    ("LINUX01", "DEF T3390 300 5", 0, "DASD 0300 DEFINED"),
    ("LINUX01", "DEF T3390 300 262668", 0, "DASD 0300 DEFINED"),
    ("LINUX01", "DEF T3390 300 262669", 26, "HCPDFN026E"),
    ("LINUX01", "DEF VFB-512 100 1000", 92, "HCPLNM092E"),
    ("LINUX01", "DEF VFB-512 300 0", 26, "HCPDFN026E"),
    ("LINUX01", "DEF CTCA 500", 0, "CTCA 0500 DEFINED"),
    ("LINUX01", "DEF READER 40", 0, "RDR  0040 DEFINED"),
    ("LINUX01", "DEF NONSENSE", 3, "HCPDFN003E"),
    ("LINUX01", "DEF VSWITCH VSW2", 3, "HCPDFN003E"),
    (
        "MAINT",
        "DEF VSWITCH VSW2 RDEV 1F00.P00 1F03 ETHERNET VLAN 10 PORTT TRUNK GVRP",
        0,
        "VSWITCH SYSTEM VSW2 is created",
    ),
    ("MAINT", "DEF VSWITCH VSW1", 2785, "HCPSWU2785E"),
    ("MAINT", "DEF VSWITCH VSW2 GVRP", 13, "HCPSWU013E"),
    ("MAINT", "DEF VSWITCH VSW2 VLAN 5000", 26, "HCPSWU026E"),
    ("MAINT", "DEF VSWITCH VSW2 BRIDGEPORT", 3, "HCPSWU003E"),
    ("LINUX01", "DEF LAN MYLAN TYPE QDIO", 0, "LAN LINUX01 MYLAN is created"),
    ("LINUX01", "DEF LAN MYLAN OWNERID SYSTEM", 6012, "HCPNDL6012E"),
    ("MAINT", "DEF LAN LAN1 OWNERID SYSTEM", 2781, "HCPNDL2781E"),
    ("MAINT", "DEF LAN L2 HIPER ETHERNET", 3, "HCPNDL003E"),
    ("MAINT", "SET LAN LAN1 GRANT LINUX01", 0, "Command accepted"),
    ("LINUX01", "SET LAN LAN1 GRANT LINUX01", 6012, "HCPNDL6012E"),
    ("MAINT", "SET LAN LAN1 REVOKE LINUX01", 2842, "HCPNDL2842E"),
    ("MAINT", "SET LAN VSW1 GRANT LINUX01", 2782, "HCPNDL2782E"),
    ("MAINT", "DET LAN LAN1 SYSTEM", 0, "LAN SYSTEM LAN1 is destroyed"),
    ("LINUX01", "DET LAN LAN1 SYSTEM", 6012, "HCPNDL6012E"),
    ("MAINT", "DET VSWITCH VSW1", 0, "VSWITCH SYSTEM VSW1 is destroyed"),
    ("MAINT", "DET VSWITCH NOSW", 2788, "HCPSWU2788E"),
    ("LINUX01", "UNCOUPLE 1000", 0, "NIC 1000 is disconnected from VSWITCH SYSTEM VSW1"),
    ("LINUX01", "COUPLE 1000 SYSTEM VSW1", 2797, "HCPNDC2797E"),
    ("LINUX01", "UNCOUPLE 2000", 40, "HCPQVD040E"),
    ("MAINT", "SET VSWITCH VSW1 GRANT LINUX02 PORTTYPE TRUNK VLAN 10 20-30", 0, "Command accepted"),
    ("MAINT", "SET VSWITCH VSW1 GRANT LINUX02 VLAN 9999", 2837, "HCPSWU2837E"),
    ("MAINT", "SET VSWITCH VSW1 PORTNUMBER 5 USERID LINUX02", 0, "Command accepted"),
    ("MAINT", "SET VSWITCH VSW1 PORTNUMBER 9999 USERID LINUX02", 26, "HCPSWU026E"),
    ("MAINT", "SET VSWITCH VSW1 PORTNUMBER REMOVE 7", 2839, "HCPSWU2839E"),
    ("MAINT", "SET VSWITCH VSW1 VLANID 20 ADD 1", 2848, "HCPSWU2848E"),
    ("MAINT", "SET VSWITCH VSW1 ISOLATION ON", 0, "Command accepted"),
    ("MAINT", "SET VSWITCH VSW1 ISOLATION MAYBE", 3, "HCPSWU003E"),
    ("MAINT", "SET VSWITCH VSW1 RDEV NONE", 0, "Command accepted"),
    ("MAINT", "SET VSWITCH VSW1 RDEV XYZ", 21, "HCPSWU021E"),
    ("LINUX01", "SET VSWITCH VSW1 GRANT LINUX01", 3, "HCPSET003E"),
    ("MAINT", "SET SHARE LINUX01 REL 200", 0, "USER LINUX01 : RELATIVE SHARE = 200"),
    ("MAINT", "SET SHARE LINUX01 REL 20000", 1033, "HCPSHA1033E"),
    ("MAINT", "SET SHARE LINUX01 ABS 101%", 1033, "HCPSHA1033E"),
    ("MAINT", "SET SHARE LINUX01 MUCH 1", 3, "HCPSHA003E"),
    ("LINUX01", "SET SHARE LINUX01 REL 200", 3, "HCPSET003E"),
    ("LINUX01", "SET RUN ON", 0, ""),
    ("LINUX01", "SET RUN PERHAPS", 3, "HCPSET003E"),
    ("LINUX01", "SET SECUSER MAINT", 0, "SECUSER of LINUX01 is MAINT"),
    ("LINUX01", "SET SECUSER LINUX01", 6704, "HCPCFX6704E"),
    ("LINUX01", "SET SECUSER NOBODY", 53, "HCPCFX053E"),
    ("LINUX01", "SET OBSERVER MAINT ZHCP", 3, "HCPCFX003E"),
    ("MAINT", "SET SIGNAL SHUTDOWN 60", 0, "System default shutdown signal timeout: 60 seconds"),
    ("MAINT", "SET SIGNAL SHUTDOWN 99999", 26, "HCPSET026E"),
    ("LINUX01", "SET VCONFIG MODE LINUX", 0, "Configuration mode LINUX is set"),
    ("LINUX01", "TERMINAL MORE 0", 0, ""),
    ("LINUX01", "TERMINAL COLOUR RED", 3, "HCPTRM003E"),
    ("MAINT", "XAUTOLOG LINUX02", 0, "Command accepted"),
    ("MAINT", "XAUTOLOG LINUX01", 54, "HCPLGA054E"),
    ("MAINT", "XAUTOLOG NOBODY", 53, "HCPLGA053E"),
    ("LINUX01", "XAUTOLOG LINUX02", 6033, "HCPXAL6033E"),
    ("MAINT", "AUTOLOG LINUX02 WRONG", 50, "HCPAUT050E"),
    ("MAINT", "FORCE LINUX01", 0, "USER DSC   LOGOFF AS  LINUX01"),
    ("MAINT", "FORCE LINUX02", 45, "HCPCQU045E"),
    ("MAINT", "FORCE LINUX01 GENTLY", 3, "HCPFOR003E"),
    ("MAINT", "SIGNAL SHUTDOWN LINUX01", 2115, "HCPSIG2115E"),
    ("MAINT", "SIGNAL WAKEUP LINUX01", 3, "HCPSIG003E"),
    ("MAINT", "SIGNAL SHUTDOWN USER LINUX01 WITHIN 60", 2115, "HCPSIG2115E"),
    ("MAINT", "SIGNAL SHUTDOWN", 2115, "HCPSIG2115E"),
    ("MAINT", "SIGNAL SHUTDOWN USER ALL", 45, "HCPCQU045E"),
    ("LINUX01", "SIGNAL SHUTDOWN", 2115, "HCPSIG2115E"),
    ("LINUX01", "SIGNAL SHUTDOWN MAINT", 3, "HCPSIG003E"),
    ("MAINT", "GIVE 6000 TO LINUX01", 6, "HCPGIV006E"),
    ("MAINT", "GIVE 9999 TO LINUX01", 40, "HCPGIV040E"),
    ("MAINT", "QUERY TAPES ALL", 0, "An active TAPE was not found."),
    ("MAINT", "Q CRYPTO APQS", 0, "Crypto Adjunct Processors are not installed."),
    ("LINUX01", "Q TAPES", 3, "HCPCQV003E"),
    ("MAINT", "Q VDISK", 0, "VDISK USER   LIMIT IS INFINITE"),
    ("MAINT", "Q VDISK SYSLIM", 0, "VDISK SYSTEM LIMIT IS INFINITE,              0 BLK IN USE"),
    ("MAINT", "Q QUICKDSP LINUX01", 0, "USER LINUX01 : QUICKDSP = OFF"),
    ("LINUX01", "SEND MAINT hello", 6033, "HCPCMD6033E"),
    ("LINUX01", "MSG MAINT hello", 0, ""),
    ("LINUX01", "MSG MAINT", 26, "HCPMFC026E"),
    ("LINUX01", "MSG LINUX02 hello", 45, "HCPCQU045E"),
    ("LINUX01", "SMSG MAINT hello", 57, "HCPMFC057E"),
    ("LINUX01", "WNG ALL hello", 1, "HCPCMD001E"),
    ("LINUX01", "IPL CMS", 0, ""),
    ("LINUX01", "IPL 0999", 2042, "HCPVMI2042E"),
    ("LINUX01", "SYSTEM CLEAR", 0, "Storage cleared - system reset."),
    ("LINUX01", "SYSTEM RESET", 0, "System reset."),
    ("LINUX01", "SYSTEM FAILURE", 3, "HCPSYS003E"),
    ("LINUX01", "STOP", 0, ""),
    ("LINUX01", "BEGIN", 0, ""),
    ("LINUX01", "DISC", 0, "DISCONNECT AT"),
    ("LINUX01", "LOGOFF", 0, "CONNECT= 00:00:00"),
    ("MAINT", "SHUTDOWN WITHIN 60 REIPL", 0, "System shutdown with re-IPL begins in 60 seconds"),
    ("MAINT", "SHUTDOWN SYSTEM ZVM1 WITHIN 60", 0, "System shutdown begins in 60 seconds"),
    ("MAINT", "SHUTDOWN SYSTEM OTHER", 3, "HCPSHU003E"),
    ("LINUX01", "Q V TAPES", 40, "HCPQVD040E Device TAPE does not exist"),
    ("LINUX01", "SHUTDOWN", 1, "HCPCMD001E"),
    ("LINUX01", "SPOOL C CLASS B", 0, ""),
    ("LINUX01", "SPOOL CONS START TO MAINT", 0, ""),
    ("LINUX01", "SPOOL CONS TO NOBODY", 53, "HCPCSP053E"),
    ("LINUX01", "SPOOL PUN START", 3, "HCPCSP003E"),
    ("LINUX01", "SPOOL 0077 CLASS A", 40, "HCPCSP040E"),
    ("LINUX01", "SPOOL PUN CLASS AB", 28, "HCPCSU028E"),
    ("LINUX01", "SPOOL PUN COPY 999", 30, "HCPCSP030E"),
    ("LINUX01", "CLOSE CONS", 0, "RDR FILE 0001 SENT FROM LINUX01"),
    ("ZHCP", "CHANGE RDR 1 NAME PROFILE EXEC", 0, "0001 FILE CHANGED"),
    ("ZHCP", "CHANGE RDR 1", 26, "HCPCSU026E"),
    ("ZHCP", "CHANGE RDR 7 CLASS A", 42, "HCPCSU042E Spoolid 0007 does not exist"),
    ("ZHCP", "ORDER RDR 1", 0, "0001 FILE ORDERED"),
    ("ZHCP", "TRANSFER RDR ALL TO LINUX01 PRT", 0, "0001 FILE TRANSFERRED"),
    ("ZHCP", "TRANSFER RDR 1 TO NOBODY", 53, "HCPCSX053E"),
    ("LINUX01", "TRANSFER RDR ALL FROM ZHCP", 0, "0001 FILE TRANSFERRED"),
    ("ZHCP", "PURGE RDR 1 2", 42, "HCPCSU042E Spoolid 0002 does not exist"),
    ("ZHCP", "PURGE ALL", 0, "0001 FILE PURGED"),
    ("ZHCP", "PURGE LINUX01 RDR ALL", 7, "HCPCSU007E"),
    ("MAINT", "PURGE ZHCP RDR ALL", 0, "0001 FILE PURGED"),
    ("ZHCP", "TAG FILE 1 for you", 0, ""),
    ("ZHCP", "TAG QUERY FILE 1", 0, "FILE 0001 TAG NOT SET"),
    ("MAINT", "INDICATE", 0, "AVGPROC-"),
    ("MAINT", "IND USER LINUX01", 0, "USERID=LINUX01  MACH=ESA STOR=2G VIRT=V XSTORE=NONE"),
    ("LINUX01", "IND USER MAINT", 3, "HCPIND003E"),
    ("MAINT", "IND QUEUES", 0, "No users in the queues"),
    ("MAINT", "VMRELOCATE STATUS", 0, "No active relocations found"),
    ("MAINT", "VMRELOCATE TEST LINUX01 VM2", 1943, "HCPRLX1943E"),
    ("LINUX01", "FLASHCOPY 100 0 END 101 0 END", 0, "Command complete: FLASHCOPY 0100 0 END TO 0101 0 END"),
    ("LINUX01", "FLASHCOPY 100 0 3 101 0 END", 332, "HCPNFC332E"),
    ("LINUX01", "FLASHCOPY 100 0 9 101 0 9", 332, "HCPNFC332E"),
    ("LINUX01", "FLASHCOPY 100 0 2 100 1 3", 336, "HCPNFC336E"),
    ("LINUX01", "FLASHCOPY 200 0 END 101 0 END", 40, "HCPNFC040E"),
    ("LINUX01", "LINK * 100 200 WR", 0, "DASD 0200 LINKED R/O; R/W BY LINUX01"),
    ("LINUX01", "LINK LINUX02 100 200", 114, "HCPLNM114E"),
    ("LINUX01", "LINK LINUX02 100 200 RR RPW", 0, "DASD 0200 LINKED R/O"),
]


@pytest.mark.parametrize(("userid", "command", "rc", "line"), QUERIES + COMMANDS)
def test_what_cp_answers(vm: System, userid: str, command: str, rc: int, line: str) -> None:
    code, lines = cp(vm, userid, command)
    assert code == rc, lines
    if line.startswith("..."):
        assert any(line[3:] in text for text in lines), lines
    elif line:
        assert lines[0].startswith(line), lines
    else:
        assert lines == []


def test_commands_in_one_line_run_one_after_the_other(vm: System) -> None:
    rc, lines = cp(vm, "LINUX01", "Q USERID\nDETACH 9999\x15Q USERID")
    assert (rc, lines[0], lines[2]) == (40, "LINUX01  AT ZVM1", "LINUX01  AT ZVM1")
    assert cp(vm, "LINUX01", "Q USERID\n" * 40)[0] == 1


def test_flashcopy_copies_tracks_and_holes(vm: System) -> None:
    source, target = (storage.file_of(vm, vm.disks[f"LINUX01.010{number}"]) for number in (0, 1))
    with EckdDisk(source, writable=True) as disk:
        for number, track in enumerate(sample_tracks(2)):
            disk.write_track(number // 15, number % 15, track)
    assert cp(vm, "LINUX01", "FLASHCOPY 100 ALL 101 ALL SYNC")[0] == 0
    assert _digest(source) == _digest(target)
    assert cp(vm, "LINUX01", "FLASHCOPY 100 4 4 101 0 0")[0] == 0
    assert _digest(source) != _digest(target)


def test_cylinders_beyond_65536_are_shown_and_copied(vm: System) -> None:
    track = Track((Record(1, b"", b"far out"),))
    for vdev in ("0300", "0301"):
        assert cp(vm, "LINUX01", f"DEF T3390 {vdev} 70000")[0] == 0
    source, target = (storage.file_of(vm, vm.disks[f"LINUX01.{vdev}"]) for vdev in ("0300", "0301"))
    with EckdDisk(source, writable=True) as disk:
        disk.write_track(69_990, 14, track)
    assert "      70000 CYL ON DASD" in cp(vm, "LINUX01", "Q V 300")[1][0]
    assert cp(vm, "LINUX01", "FLASHCOPY 300 69990 69990 301 3 3")[0] == 0
    assert cp(vm, "LINUX01", "FLASHCOPY 300 3 69999 301 3 69999")[0] == 0
    with EckdDisk(target) as disk:
        assert list(disk.used_tracks()) == [(69_990, 14, track)]


def _digest(path: Path) -> str:
    with EckdDisk(path) as disk:
        return disk.sha256()


def test_an_uplink_belongs_to_the_controller_while_the_switch_has_it(vm: System) -> None:
    assert cp(vm, "MAINT", "DEF VSWITCH VSW2 RDEV 1F06 ETHERNET")[0] == 0
    assert cp(vm, "MAINT", "Q OSA")[1] == ["OSA  1F06 ATTACHED TO DTCVSW1  0600 DEVTYPE OSA         CHPID 1F OSD"]
    assert cp(vm, "MAINT", "ATTACH 1F06 LINUX01")[0] == 122
    assert cp(vm, "MAINT", "SET VSWITCH VSW2 RDEV 1F09")[0] == 0
    assert (vm.osas["1F06"].owner, vm.osas["1F09"].owner) == ("", "DTCVSW1")
    assert cp(vm, "MAINT", "DETACH VSWITCH VSW2")[0] == 0
    assert vm.osas["1F09"].owner == ""


def test_a_whole_disk_is_attached_shown_and_given_back(vm: System) -> None:
    assert cp(vm, "MAINT", "ATTACH 7000 LINUX01 200")[0] == 0
    (line,) = cp(vm, "LINUX01", "Q V 200")[1]
    disk = answers.query_virtual([line])
    assert disk is not None
    assert (disk.vdev, disk.size, disk.units, disk.on) == ("0200", 60102, "CYL", "7000")
    assert cp(vm, "MAINT", "ATTACH 7000 MAINT")[1] == ["HCPATR122E DASD 7000 already attached to LINUX01"]
    assert cp(vm, "MAINT", "FORCE LINUX01")[0] == 0
    assert vm.real_disks["7000"].status == "FREE"


def test_a_volume_goes_to_the_system_and_back(vm: System) -> None:
    assert cp(vm, "MAINT", "ATTACH 7000 SYSTEM NEWVOL") == (0, ["DASD 7000 ATTACHED TO SYSTEM NEWVOL"])
    assert cp(vm, "MAINT", "Q DASD NEWVOL") == (0, ["DASD 7000 CP SYSTEM NEWVOL   0"])
    assert cp(vm, "MAINT", "DETACH 7000 SYSTEM") == (0, ["DASD 7000 DETACHED SYSTEM"])


def test_send_cp_runs_a_command_as_the_other_user(vm: System) -> None:
    assert cp(vm, "MAINT", "SEND CP LINUX01 SPOOL CONSOLE STOP") == (0, [])
    (console,) = (
        item for item in vm.machines["LINUX01"].devices if isinstance(item, UnitRecord) and item.kind == "CONS"
    )
    assert console.stopped
    assert cp(vm, "MAINT", "SEND CP LINUX01 SPOOL CONSOLE START") == (0, [])
    assert cp(vm, "MAINT", "SEND CP LINUX01 Q USERID") == (0, [])
    assert vm.machines["LINUX01"].console[-1] == "LINUX01  AT ZVM1"
    assert cp(vm, "MAINT", "SEND CP LINUX01 SEND CP LINUX01 Q USERID")[0] == 3


def test_the_secondary_user_may_send(vm: System) -> None:
    assert cp(vm, "MAINT", "SET SECUSER ZHCP LINUX01")[0] == 0
    assert cp(vm, "LINUX01", "SEND ZHCP hello") == (0, [])
    assert vm.machines["ZHCP"].console[-1] == "hello"
    assert vm.machines["LINUX01"].console[-1] == "ZHCP    : hello"


def test_who_has_turned_messages_off_gets_none(vm: System) -> None:
    assert cp(vm, "ZHCP", "SET MSG OFF")[0] == 0
    assert cp(vm, "LINUX01", "MSG ZHCP hello") == (57, ["HCPMFC057E ZHCP not receiving; MSG off"])
    assert cp(vm, "ZHCP", "LOGOFF")[0] == 0
    assert cp(vm, "MAINT", "XAUTOLOG ZHCP")[0] == 0
    assert cp(vm, "LINUX01", "MSG ZHCP hello")[0] == 0


def test_ordered_files_come_first(vm: System) -> None:
    with vm.transaction():
        spool.create(vm, "ZHCP", "ZHCP", b"second")
    assert cp(vm, "ZHCP", "ORDER RDR 2")[0] == 0
    assert [file.spoolid for file in spool.files(vm, "ZHCP")] == ["0002", "0001"]


def test_a_console_goes_where_spool_says(vm: System) -> None:
    assert cp(vm, "LINUX01", "SPOOL CONS TO MAINT CLASS K NAME BOOT LOG")[0] == 0
    assert cp(vm, "LINUX01", "CLOSE CONS")[0] == 0
    (file,) = spool.files(vm, "MAINT")
    assert (file.kind, file.spool_class, file.name, file.filetype) == ("CON", "K", "BOOT", "LOG")


def test_defined_storage_of_another_size_resets_the_machine(vm: System) -> None:
    assert vm.machines["LINUX01"].system is not None
    assert cp(vm, "LINUX01", "DEFINE STORAGE 1G") == (0, ["STORAGE = 1G", "Storage cleared - system reset."])
    assert vm.machines["LINUX01"].system is None


def test_frames_that_are_free_and_in_use_add_up(vm: System) -> None:
    text = "\n".join(cp(vm, "MAINT", "QUERY FRAMES")[1])
    assert "Configured=16777216 " in text


def test_the_channel_to_channel_adapters_of_two_users_couple(vm: System) -> None:
    for name in ("LINUX01", "MAINT"):
        assert cp(vm, name, "DEFINE CTCA 500")[0] == 0
    assert cp(vm, "LINUX01", "COUPLE 500 MAINT 500") == (0, ["CTCA 0500 COUPLED TO MAINT 0500"])
    assert cp(vm, "LINUX01", "COUPLE 500 MAINT 500")[0] == 2799
    assert cp(vm, "MAINT", "UNCOUPLE 500") == (0, ["CTCA 0500 UNCOUPLED FROM LINUX01 0500"])
    assert cp(vm, "LINUX01", "DETACH 500") == (0, ["CTCA 0500 DETACHED"])
