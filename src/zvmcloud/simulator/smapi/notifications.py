"""The event stream, and who is told of changed entries.

Event_Subscribe's connection becomes the stream in `server`; here are the checks. What a match key is compared with is
judgement, see `zvmcloud.simulator.events`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_directory import Subscription
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import ebcdic
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.events import FIRST_USER_EVENT, UserEvent
from zvmcloud.smapi.spelling import ENCODING

NO_ENTRY = (400, 4)
DUPLICATE = (428, 4)
NO_SUBSCRIPTION = (428, 8)
NOT_DOTTED = 819
"""The ip address is the fourth parameter behind the target; 19: not one of the values allowed."""
ASCII, EBCDIC = 1, 2
_DATA = 66


@handles(f.EventSubscribe, authority="recorded")
def event_subscribe(_call: Call, _request: f.EventSubscribe) -> Done:
    return Done()


@handles(f.EventUnsubscribe, authority="recorded")
def event_unsubscribe(call: Call, _request: f.EventUnsubscribe) -> Done:
    system, userid = call.system, call.userid
    system.store.after_commit(lambda: _unsubscribe(call, userid))
    return Done()


def _unsubscribe(call: Call, userid: str) -> None:
    call.system.events.unsubscribe(userid)


@handles(f.EventStreamAdd, authority="clients")
def event_stream_add(call: Call, request: f.EventStreamAdd) -> Done:
    """Judgement: a number that is not above 16777215 belongs to the system and is refused as a wrong value."""
    number = int.from_bytes(request.event_info[:4], "big")
    if len(request.event_info) < 4 or number < FIRST_USER_EVENT:
        raise Refused(24, 519)
    call.system.events.publish(UserEvent(number, request.event_info[4:]))
    return Done()


@handles(f.ImageDefinitionAsyncUpdates, authority="recorded")
def image_definition_async_updates(call: Call, request: f.ImageDefinitionAsyncUpdates) -> Done:
    if request.enabled is None:
        raise Refused(8, 3004)
    value = request.enabled.upper()
    if value not in ("YES", "NO"):
        raise Refused(8, 3003)
    call.system.changes.set_mode(replace(call.system.changes.mode, announces_definitions=value == "YES"))
    return Done()


# -- notifications of changed entries ---------------------------------------------------------------------------------


@handles(f.AsynchronousNotificationEnableDM, authority="recorded")
def asynchronous_notification_enable_dm(call: Call, request: f.AsynchronousNotificationEnableDM) -> Done:
    """Judgement: an encoding that is not stated is ASCII."""
    target = request.target.upper()
    if target != "ALL" and target not in call.system.entries:
        raise Refused(*NO_ENTRY)
    made = Subscription(
        target,
        request.subscription_type == 2,
        request.communication_type,
        request.port_number,
        _address(request.ip_address),
        request.encoding or ASCII,
        request.subscriber_data,
    )
    if _key(made) in call.system.subscriptions:
        raise Refused(*DUPLICATE)
    call.system.subscriptions.put(_key(made), made)
    return Done()


@handles(f.AsynchronousNotificationDisableDM, authority="recorded")
def asynchronous_notification_disable_dm(call: Call, request: f.AsynchronousNotificationDisableDM) -> Done:
    target = request.target.upper()
    if target != "ALL" and target not in call.system.entries:
        raise Refused(*NO_ENTRY)
    _address(request.ip_address)
    found = [key for key, item in call.system.subscriptions.items() if item.userid == target and _fits(item, request)]
    if not found:
        raise Refused(*NO_SUBSCRIPTION)
    for key in found:
        call.system.subscriptions.remove(key)
    return Done()


@handles(f.AsynchronousNotificationQueryDM, authority="recorded")
def asynchronous_notification_query_dm(call: Call, request: f.AsynchronousNotificationQueryDM) -> Done:
    """Judgement: 0/28 when the userid has no subscription at all, 428/8 when none fits what was asked for."""
    target = request.target.upper()
    if target != "ALL" and target not in call.system.entries:
        raise Refused(*NO_ENTRY)
    every = [item for item in call.system.subscriptions.values() if item.userid == target]
    if not every:
        return Done(f.AsynchronousNotificationQueryDMReply(notification_array=()), rs=28)
    found = tuple(_described(item) for item in every if _fits(item, request))
    if not found:
        raise Refused(*NO_SUBSCRIPTION)
    return Done(f.AsynchronousNotificationQueryDMReply(notification_array=found))


def _key(item: Subscription) -> str:
    return "\0".join(
        str(part)
        for part in (item.userid, item.excluded, item.protocol, item.port, item.address, item.encoding, item.data)
    )


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise Refused(24, NOT_DOTTED) from None


def _fits(item: Subscription, request: f.AsynchronousNotificationDisableDM | f.AsynchronousNotificationQueryDM) -> bool:
    """Whether a subscription is one of those meant: 0, nothing and * stand for any."""
    asked: Iterator[tuple[object, object]] = iter(
        (
            (request.communication_type, item.protocol),
            (request.port_number, item.port),
            (request.ip_address, item.address),
            (request.encoding, item.encoding),
            ("" if request.subscriber_data == "*" else request.subscriber_data, item.data),
        )
    )
    return all(not wanted or wanted == value for wanted, value in asked)


def _described(item: Subscription) -> f.NotificationSubscription:
    data = item.data
    if item.encoding == EBCDIC:
        # Recorded: in EBCDIC between question marks, padded with EBCDIC blanks to 66 bytes.
        data = ebcdic.encode(f"?{data}?".ljust(_DATA), ebcdic.CP924).decode(ENCODING)
    return f.NotificationSubscription(
        userid=item.userid,
        subscription_type=2 if item.excluded else 1,
        communication_type=item.protocol,
        port_number=item.port,
        ip_address=item.address,
        encoding=item.encoding,
        subscriber_data=data,
    )
