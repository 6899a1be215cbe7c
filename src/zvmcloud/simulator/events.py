"""The event stream: what happens on the system goes to everyone who subscribed.

Events are published inside the transaction that causes them and leave when it is on disk; a transaction that is taken
back takes its events back. *VMEVENT events of one transaction travel bundled in one record, as on z/VM (a logon comes
as 0/0 and 0/5 together); each SMAPI event is a record of its own.

A match key (judgement: no source says what it is compared with) is a list of userids divided by blanks, each of which
may end in an asterisk: events about another userid are not sent, events about none are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zvmcloud.simulator.store import Store
from zvmcloud.smapi.events import (
    SMAPI_EVENT,
    VMEVENT,
    DirectoryChanged,
    SmapiEvent,
    VmEvent,
    encode_smapi_event,
    encode_vmevent,
)

log = logging.getLogger(__name__)

#: *VMEVENT class 0. Runnable follows every logon in the one sample there is.
LOGON, LOGOFF, RUNNABLE = 0, 1, 5

Event = VmEvent | SmapiEvent
Sink = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True, eq=False)
class Subscriber:
    """One connection that receives events."""

    userid: str
    """Who subscribed."""
    sink: Sink
    """Takes data type and data of a record."""
    close: Callable[[], None]
    match: tuple[str, ...] = ()

    def wants(self, event: Event) -> bool:
        about = event.userid if isinstance(event, (VmEvent, DirectoryChanged)) else None
        if not self.match or about is None:
            return True
        return any(about.startswith(key[:-1]) if key.endswith("*") else about == key for key in self.match)


class EventHub:
    """The subscribers of one system and the events that wait for their transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._subscribers: list[Subscriber] = []
        self._waiting: list[Event] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """The connection is gone."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def unsubscribe(self, userid: str) -> int:
        """End the subscriptions of a userid; gives how many there were."""
        ended = [subscriber for subscriber in self._subscribers if subscriber.userid == userid]
        for subscriber in ended:
            self.forget(subscriber)
            subscriber.close()
        return len(ended)

    def publish(self, event: Event) -> None:
        """Send an event when the transaction is on disk; must be called inside one."""
        if not self._waiting:
            self._store.after_commit(self._flush)
        self._waiting.append(event)
        self._store.on_rollback(lambda: self._take_back(event))

    def about(self, kind: int, userid: str, *fields: str | int, group: int = 0) -> None:
        """Publish a *VMEVENT event about a virtual machine; `group` is the event's class."""
        self.publish(VmEvent(group, kind, (userid, *fields)))

    def _take_back(self, event: Event) -> None:
        # The newest one: two equal events of one transaction are taken back from the end.
        for position in range(len(self._waiting) - 1, -1, -1):
            if self._waiting[position] is event:
                del self._waiting[position]
                return

    def _flush(self) -> None:
        events, self._waiting = self._waiting, []
        self.send(events)

    def send(self, events: Sequence[Event]) -> None:
        """Send events now."""
        for subscriber in tuple(self._subscribers):
            wanted = [event for event in events if subscriber.wants(event)]
            bundle = b"".join(encode_vmevent(event) for event in wanted if isinstance(event, VmEvent))
            records = [(VMEVENT, bundle)] if bundle else []
            records += [(SMAPI_EVENT, encode_smapi_event(event)) for event in wanted if not isinstance(event, VmEvent)]
            for data_type, data in records:
                try:
                    subscriber.sink(data_type, data)
                except (OSError, RuntimeError):
                    log.info("an event for %s could not be sent", subscriber.userid)
                    self.forget(subscriber)
                    break
