"""Where the broker is, and what every section of the settings begins with."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from event_protocol.enrolment import is_loopback


class Section(BaseModel):
    """Base of the sections: a misspelt setting is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Port = Annotated[int, Field(ge=0, le=65535)]  # 0: any free one


def address_of(node: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; raises `ValueError`."""
    try:
        parts = urlsplit(f"//{node}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.netloc != node:
        raise ValueError(f"must be like HOST:PORT, not {node!r}")
    return host, port


class BrokerSettings(Section):
    """The MQTT broker: an external one by address, or the embedded one."""

    embedded: bool = Field(
        default=False, description="Run the embedded broker as a child process (demo, pilot)."
    )
    host: str = Field(default="127.0.0.1", description="Address of the broker.")
    port: Port = Field(default=1883, description="Port of the broker.")
    username: str = Field(default="central-server", description="The server's own name there.")
    password: str = Field(default="", repr=False, description="The server's own password there.")
    ca_file: Path | None = Field(
        default=None,
        description="Authority that signed the broker's certificate; empty: the server's own, "
        "or without one the system's.",
    )
    device_host: str | None = Field(
        default=None, description="Address of the broker as devices see it; empty: as above."
    )
    dynamic_security: bool = Field(
        default=False,
        description="The broker is a Mosquitto with its dynamic security plug-in, as "
        "`prepare-broker` sets it up: the server keeps its accounts.",
    )
    amqp: tuple[str, ...] = Field(
        default=(),
        description="RabbitMQ's nodes, each as HOST:PORT of its AMQP listener: events are taken "
        "from a queue that any number of workers share. Empty: by MQTT.",
    )
    tls: bool = Field(
        default=False,
        validate_default=True,
        description="Speak TLS; required unless server and devices are on the broker's machine.",
    )

    @field_validator("amqp")
    @classmethod
    def _are_nodes(cls, nodes: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        if nodes and (others.data.get("embedded") or others.data.get("dynamic_security")):
            raise ValueError("is RabbitMQ's: not with broker.embedded or broker.dynamic_security")
        for node in nodes:
            address_of(node)
        return nodes

    @field_validator("tls")
    @classmethod
    def _no_word_in_the_clear(cls, tls: bool, others: ValidationInfo) -> bool:
        if tls and others.data.get("embedded"):
            raise ValueError("the embedded broker speaks no TLS; beyond this machine use Mosquitto")
        hosts = [(name, others.data.get(name)) for name in ("host", "device_host")]
        hosts += [("amqp", address_of(node)[0]) for node in others.data.get("amqp", ())]
        for name, host in hosts:
            if not tls and host is not None and not is_loopback(host):
                raise ValueError(
                    f"must be true: by broker.{name}, {host}, passwords leave this machine"
                )
        return tls
