"""Events and directory notifications."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR42
from zvmcloud.smapi.declare import Answering, NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.functions.fields import Encoding, EntityType, IpAddress, PortNumber, SubscriberData
from zvmcloud.smapi.layout import Array, Int, Raw, Struct, Text


@function(
    "Asynchronous_Notification_Disable_DM",
    family="notification",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=('With "*" as subscriber_data every subscription matches.',),
)
class AsynchronousNotificationDisableDM(Request[NoData]):
    """End a socket's subscription to directory-change notifications."""

    entity_type: EntityType
    communication_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "TCP", 2: "UDP"}), "Protocol that carries the notifications"
    ] = 0
    port_number: PortNumber
    ip_address: IpAddress
    encoding: Encoding = 0
    subscriber_data: SubscriberData = ""


@function(
    "Asynchronous_Notification_Enable_DM",
    family="notification",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=(
        (
            "Target ALL covers every userid. zthin subscribes so over UDP in ASCII and treats 428/4 "
            "(already subscribed) as success."
        ),
    ),
)
class AsynchronousNotificationEnableDM(Request[NoData]):
    """Have directory-entry changes reported to a TCP or UDP endpoint."""

    entity_type: EntityType
    subscription_type: Annotated[
        int, Int(1, choices={1: "INCLUDE", 2: "EXCLUDE"}), "Whether the named userid is watched or left out"
    ]
    communication_type: Annotated[int, Int(1, choices={1: "TCP", 2: "UDP"}), "Protocol that carries the notifications"]
    port_number: PortNumber
    ip_address: IpAddress
    encoding: Encoding = 0
    subscriber_data: SubscriberData = ""


@structure
class NotificationSubscription(Structure):
    """An item of the reply."""

    userid: Annotated[str, Text(1, 8, CHAR42), "userid concerned"]
    subscription_type: Annotated[
        int, Int(1, choices={1: "INCLUDE", 2: "EXCLUDE"}), "Whether the named userid is watched or left out"
    ]
    communication_type: Annotated[int, Int(1, choices={1: "TCP", 2: "UDP"}), "Protocol that carries the notifications"]
    port_number: Annotated[int, Int(4), "TCP or UDP port"]
    ip_address: IpAddress
    encoding: Encoding
    subscriber_data: SubscriberData


@reply
class AsynchronousNotificationQueryDMReply(Reply):
    """Reply of Asynchronous_Notification_Query_DM."""

    notification_array: Annotated[
        tuple[NotificationSubscription, ...], Array(Struct(NotificationSubscription)), "The subscriptions found"
    ]


@function(
    "Asynchronous_Notification_Query_DM",
    family="notification",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=(
        (
            "subscriber_data may exceed 64 bytes: an EBCDIC subscription with 7 bytes came back as 66 "
            "(X'6F', text, X'6F', X'40' padding), so no limit may be enforced on replies."
        ),
    ),
)
class AsynchronousNotificationQueryDM(Request[AsynchronousNotificationQueryDMReply]):
    """Show which endpoints are subscribed to directory-change notifications."""

    entity_type: EntityType
    communication_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "TCP", 2: "UDP"}), "Protocol that carries the notifications"
    ] = 0
    port_number: PortNumber
    ip_address: Annotated[str, Text(0, 15, CHAR10.plus(".")), "IPv4 address in dotted-decimal notation"] = ""
    encoding: Encoding = 0
    subscriber_data: SubscriberData = ""


@function(
    "Event_Stream_Add",
    family="notification",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        (
            "zthin: int4 event number above 16777215 (X'00FFFFFF'), then raw text. pysmapi sends the "
            "caller's bytes, PigIron a counted string; nothing was recorded."
        ),
    ),
)
class EventStreamAdd(Request[NoData]):
    """Send an event of one's own to everyone connected through Event_Subscribe."""

    event_info: Annotated[bytes, Raw(), "Event number followed by the event's text"]


@function(
    "Event_Subscribe",
    family="notification",
    target=Target.AUTHORIZATION,
    answering=Answering.EVENTS,
    level=611,
    parameters_optional=True,
    notes=(
        (
            "No final reply: after the request id, length-prefixed event records follow until the client "
            "closes or unsubscribes. A record of length 12 is a failure (request id, rc, rs)."
        ),
        (
            "match_key may be missing altogether (accepted on z/VM 7.1); zthin sends length zero, PigIron"
            " a counted string."
        ),
    ),
)
class EventSubscribe(Request[NoData]):
    """Turn this connection into a stream of events."""

    match_key: Annotated[str, Text(0, 16_777_216), "Filter for the events wanted; nothing given means all"] = ""


@function(
    "Event_Unsubscribe",
    family="notification",
    target=Target.AUTHORIZATION,
    answering=Answering.REQUEST_ID_ONLY,
    level=611,
    notes=("Only the request id is sent, then the server closes; rc and rs never arrive.",),
)
class EventUnsubscribe(Request[NoData]):
    """End the caller's own event subscription."""
