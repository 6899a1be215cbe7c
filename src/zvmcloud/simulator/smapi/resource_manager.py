"""The configuration of the resource manager VMRM, and what it measures."""

from __future__ import annotations

import time

from zvmcloud.simulator import vmrm
from zvmcloud.simulator.equipment import VMRM_PLACE
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_devices import TextFile
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

NO_DATA, SYNTAX, NO_ACCESS, NOT_WRITTEN, NO_FILE = (800, 8), (800, 12), (800, 16), (800, 24), (800, 28)


def _key(place: str, name: str, filetype: str) -> str:
    return f"{place.upper()} {name.upper()} {filetype.upper()}"


def _known(call: Call, place: str) -> bool:
    return any(file.place == place.upper() for file in call.system.texts.values())


@handles(f.VMRMConfigurationQuery, authority="recorded")
def vmrm_configuration_query(call: Call, request: f.VMRMConfigurationQuery) -> Done:
    """judgement: 800/16 for a directory that does not exist, 800/28 for a file that is not in it."""
    if not _known(call, request.configuration_dir_name):
        raise Refused(*NO_ACCESS)
    name, filetype = request.configuration_file_name, request.configuration_file_type
    found = call.system.texts.get(_key(request.configuration_dir_name, name, filetype))
    if found is None:
        raise Refused(*NO_FILE)
    return Done(f.VMRMConfigurationQueryReply(configuration_file=found.lines))


@handles(f.VMRMConfigurationUpdate, authority="recorded")
def vmrm_configuration_update(call: Call, request: f.VMRMConfigurationUpdate) -> Done:
    """Recorded: a clean check answers with the header alone. judgement: warnings are log records with 0/0."""
    if request.syncheck_only not in (0, 1):
        raise Refused(24, 819)
    place = request.configuration_dir_name
    if not _known(call, place):
        raise Refused(*NOT_WRITTEN)
    rules = vmrm.parse(request.update_file)
    if rules.errors:
        raise Refused(*SYNTAX, rules.errors)
    if not request.syncheck_only:
        name, filetype = request.configuration_file_name.upper(), request.configuration_file_type.upper()
        file = TextFile(place.upper(), name, filetype, request.update_file, call.system.now())
        call.system.texts.put(_key(place, name, filetype), file)
    if rules.warnings:
        return Done(f.VMRMConfigurationUpdateReply(log_record_array=rules.warnings))
    return Done()


@handles(f.VMRMMeasurementQuery, authority="recorded")
def vmrm_measurement_query(call: Call, _request: f.VMRMMeasurementQuery) -> Done:
    """The file in use is VMRM CONFIG of the server's directory."""
    if vmrm.SERVER in call.system.entries and vmrm.SERVER not in call.system.machines:
        raise Refused(*NO_DATA)
    file = call.system.texts.get(_key(VMRM_PLACE, "VMRM", "CONFIG"))
    if file is None:
        raise Refused(*NO_ACCESS)
    items = vmrm.measured(call.system, vmrm.parse(file.lines))
    if not items:
        raise Refused(*NO_DATA)
    return Done(
        f.VMRMMeasurementQueryReply(
            query_timestamp=_stamp(call.system.now()),
            file_spec=f"{file.name} {file.filetype}",
            file_timestamp=_stamp(file.changed),
            workload_array=tuple(items),
        )
    )


def _stamp(when: float) -> str:
    return time.strftime("%m/%d/%y %H:%M:%S", time.gmtime(when))
