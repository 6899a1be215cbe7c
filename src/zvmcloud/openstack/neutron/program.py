"""`neutron-zvm-agent`: the agent as a program."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import neutron  # noqa: F401  chooses oslo.service's backend; has to come before neutron_lib
import oslo_messaging
from neutron.agent import rpc
from neutron.common import config as neutron_config
from neutron.conf.agent import common as agent_config
from neutron_lib import constants, context
from neutron_lib.agent import constants as agent_constants
from neutron_lib.agent import topics
from neutron_lib.exceptions import NeutronException
from oslo_config import cfg
from oslo_log import log as logging

from zvmcloud.openstack import connection
from zvmcloud.openstack.connection import GROUP, ConfigurationError
from zvmcloud.openstack.neutron import options
from zvmcloud.openstack.neutron.loop import Loop
from zvmcloud.openstack.neutron.mechanism import AGENT_TYPE
from zvmcloud.openstack.neutron.network import Network

LOG = logging.getLogger(__name__)

BINARY = "neutron-zvm-agent"


class Server:
    """Neutron's server over the message bus, as the loop sees it."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._agent = f"zvm-{host}"
        self._rpc = rpc.PluginApi(topics.PLUGIN)
        self._context = context.get_admin_context_without_session()

    def details(self, ports: Collection[str]) -> Iterable[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._rpc.get_devices_details_list(
            self._context, list(ports), self._agent, self._host
        )
        return found

    def up(self, port: str) -> None:
        self._rpc.update_device_up(self._context, port, self._agent, self._host)

    def down(self, port: str) -> None:
        self._rpc.update_device_down(self._context, port, self._agent, self._host)


class Notices:
    """What neutron's server tells all agents."""

    target = oslo_messaging.Target(version="1.4")

    def __init__(self, loop: Loop, wake: threading.Event) -> None:
        self._loop = loop
        self._wake = wake

    def port_update(self, _context: object, **told: Any) -> None:
        self._loop.port_changed(str(told["port"]["id"]))
        self._wake.set()

    def network_update(self, _context: object, **_told: Any) -> None:
        """Nothing of a network is the agent's but what its ports say."""

    def port_delete(self, _context: object, **_told: Any) -> None:
        """The adapter goes with nova."""


class Agent:
    """The loop, the heartbeat and the notices, until `stop`."""

    def __init__(self, conf: cfg.ConfigOpts, loop: Loop) -> None:
        self._conf = conf
        self._loop = loop
        self._wake = threading.Event()
        self._end = threading.Event()
        self._first = True

    def run(self) -> None:
        reports = rpc.PluginReportStateAPI(topics.REPORTS)
        details = [[topics.PORT, topics.UPDATE], [topics.PORT, topics.DELETE], [topics.NETWORK, topics.UPDATE]]
        consumers = rpc.create_consumers([Notices(self._loop, self._wake)], topics.AGENT, details)
        heart = threading.Thread(target=self._beat, args=(reports,), name="heartbeat", daemon=True)
        heart.start()
        while not self._end.is_set():
            self._wake.clear()
            try:
                self._loop.round()
            except (oslo_messaging.MessagingException, NeutronException):
                LOG.exception("neutron's server does not answer, or refused; everything is looked at again")
                self._loop.forget()
            self._wake.wait(self._conf[GROUP].polling_interval)
        consumers.close()
        heart.join(self._conf.AGENT.report_interval)

    def stop(self, *_: object) -> None:
        """End after the round that runs."""
        self._end.set()
        self._wake.set()

    def _beat(self, reports: Any) -> None:
        while True:
            try:
                self._report(reports)
            except Exception:
                LOG.exception("the state could not be reported")
            if self._end.wait(self._conf.AGENT.report_interval if not self._first else 2):
                return

    def _report(self, reports: Any) -> None:
        """The first states say that the agent has started, until one names a VSWITCH: from such a state neutron takes
        which segments the host reaches."""
        found = self._loop.configurations
        state = {
            "binary": BINARY,
            "host": self._conf.host,
            "topic": constants.L2_AGENT_TOPIC,
            "agent_type": AGENT_TYPE,
            "configurations": found,
            **({"start_flag": True} if self._first else {}),
        }
        status = reports.report_state(context.get_admin_context_without_session(), state, True)
        if status == agent_constants.AGENT_REVIVED:
            LOG.info("neutron had given this agent up; everything is looked at again")
            self._loop.forget()
        self._first = self._first and not found["vswitches"]


def main() -> None:
    """The console script."""
    conf = cfg.CONF
    neutron_config.register_common_config_options()
    agent_config.register_agent_state_opts_helper(conf)
    options.register(conf)
    neutron_config.init(sys.argv[1:])
    neutron_config.setup_logging()
    try:
        network = Network(connection.connect(conf), connection.system(conf))
        wanted = options.wanted(conf)
    except ConfigurationError as error:
        sys.exit(f"{BINARY}: {error}")
    loop = Loop(network, Server(conf.host), wanted, repair_interval=conf[GROUP].repair_interval)
    agent = Agent(conf, loop)
    signal.signal(signal.SIGTERM, agent.stop)
    signal.signal(signal.SIGINT, agent.stop)
    agent.run()
