"""PROFILE entries."""

from __future__ import annotations

from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.smapi.images import padded
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f


@handles(f.ProfileCreateDM, directory=True, authority="clients")
def profile_create_dm(call: Call, request: f.ProfileCreateDM) -> Done:
    dm.create(call.system, request.target, request.profile_record_array, profile=True)
    return Done()


@handles(f.ProfileDeleteDM, directory=True, authority="clients")
def profile_delete_dm(call: Call, request: f.ProfileDeleteDM) -> Done:
    dm.delete(call.system, request.target, profile=True)
    return Done()


@handles(f.ProfileQueryDM, authority="clients")
def profile_query_dm(call: Call, request: f.ProfileQueryDM) -> Done:
    record = dm.find(call.system, request.target, profile=True)
    return Done(f.ProfileQueryDMReply(profile_record_array=padded(dm.shown(call.system, record))))


@handles(f.ProfileReplaceDM, directory=True, authority="clients")
def profile_replace_dm(call: Call, request: f.ProfileReplaceDM) -> Done:
    dm.replace_entry(call.system, request.target, request.profile_record_array, call.userid, profile=True)
    return Done()


@handles(f.ProfileLockDM, authority="clients")
def profile_lock_dm(call: Call, request: f.ProfileLockDM) -> Done:
    dm.lock(call.system, request.target, call.userid, profile=True)
    return Done()


@handles(f.ProfileUnlockDM, authority="clients")
def profile_unlock_dm(call: Call, request: f.ProfileUnlockDM) -> Done:
    dm.unlock(call.system, request.target, profile=True)
    return Done()


@handles(f.ProfileLockQueryDM, authority="clients")
def profile_lock_query_dm(call: Call, request: f.ProfileLockQueryDM) -> Done:
    record = dm.find(call.system, request.target, profile=True)
    if not record.locked_by:
        return Done(rs=24)
    return Done(f.ProfileLockQueryDMReply(lock_info=f"PROFILE {record.locked_by}", locked_dev_array=()), rs=12)
