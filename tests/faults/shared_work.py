"""Faults of an installation past one machine: a worker, a projector or a broker's node dies, and
the others go on meanwhile. `FAULTS` holds them with the rest.
"""

import time
from collections.abc import Callable
from random import Random

from central_server.mqtt.amqp_consumer import EVENTS_QUEUE
from tests.faults.injections import BURST, LOOKS_EVERY_S, Fault, fault
from tests.faults.world import World
from tests.processes.ports import wait_until
from tests.processes.rabbitmq import RabbitMQ
from tests.processes.rabbitmq_cluster import RabbitMQCluster

GO_ON_WITHIN_S = 180
ANY, LEADER, PUBLISHERS = "any node killed", "the queue's leader killed", "publishers' node killed"
MOST = "most or all nodes killed"
NODE_FAULTS = (ANY, LEADER, PUBLISHERS, MOST)


def _several_work(world: World) -> bool:
    return len(world.servers) > 1


def _has_nodes(world: World) -> bool:
    return isinstance(world.broker, RabbitMQCluster)


@fault("one of each kind of process killed", _several_work)
def kill_one_of_each(world: World, random: Random) -> None:
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    for is_projector in (False, True):
        some = [one for one in world.servers if one.is_projector == is_projector]
        if len(some) > 1:
            random.choice(some).kill()
    world.fleet.say(BURST)
    _wait_until_receipted(world)
    world.start_servers()


def _kill_node(choose: Callable[[World, RabbitMQCluster, Random], RabbitMQ]) -> Fault:
    """The others deliver while it is away."""

    def strike(world: World, random: Random) -> None:
        assert isinstance(world.broker, RabbitMQCluster)
        node = choose(world, world.broker, random)
        world.fleet.say(BURST)
        time.sleep(random.uniform(0, 0.5))
        node.kill()
        world.fleet.say(BURST)
        _wait_until_receipted(world)
        world.cable.prefer(random.choice(world.ports)[0])
        world.fleet.say(BURST)
        node.start()

    return strike


def _any(_world: World, cluster: RabbitMQCluster, random: Random) -> RabbitMQ:
    return random.choice(cluster.nodes)


def _leader(_world: World, cluster: RabbitMQCluster, _random: Random) -> RabbitMQ:
    return cluster.leader_of(EVENTS_QUEUE)


def _of_publishers(world: World, cluster: RabbitMQCluster, random: Random) -> RabbitMQ:
    wait_until(world.cable.targets_in_use, GO_ON_WITHIN_S, "the boxes are connected")
    return cluster.node_at(random.choice(sorted(world.cable.targets_in_use())))


fault(ANY, _has_nodes)(_kill_node(_any))
fault(LEADER, _has_nodes)(_kill_node(_leader))
fault(PUBLISHERS, _has_nodes)(_kill_node(_of_publishers))


@fault(MOST, _has_nodes)
def kill_most_nodes(world: World, random: Random) -> None:
    """Without a majority nothing goes on, and boxes and workers wait."""
    assert isinstance(world.broker, RabbitMQCluster)
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 0.5))
    for node in random.sample(world.broker.nodes, random.choice((2, 3))):
        node.kill()
    world.fleet.say(BURST)
    time.sleep(random.uniform(0, 3))
    world.broker.start()


def _wait_until_receipted(world: World) -> None:
    wait_until(
        lambda: world.fleet.has_said_all and world.fleet.waiting() == 0,
        GO_ON_WITHIN_S,
        "the others go on",
        LOOKS_EVERY_S,
    )
