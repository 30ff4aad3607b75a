"""Apache Kafka from Maven Central: one node that is broker and controller (KRaft)."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from scripts.servers.contract import HOST, Server
from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program

# The first line of Kafka that needs no more than Java 17 and no ZooKeeper.
_VERSION = "4.1.0"
_LOGGING_VERSION = "2.24.3"  # of the Log4j that this Kafka depends on
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_CLUSTER = "FarwatchFarwatchFarwat"  # 22 letters of Base64: a UUID

_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>farwatch</groupId><artifactId>kafka</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOGGING_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_LOGGING = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server
logger.server.level = INFO
"""
# One node holds every copy; few internal partitions start faster; short group sessions for tests.
# A killed broker is let in again only when its session has ended: 3 s instead of 9.
_SETTINGS = """\
process.roles=broker,controller
node.id=1
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.truststore.type=PEM
listener.name.tls.ssl.client.auth=required
auto.create.topics.enable=true
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""

SASL_LOGIN = ("farwatch", "under-the-sea")
"""User and password of PLAIN; those of SCRAM are made by its tools."""
_MODULES = "org.apache.kafka.common.security"


class KafkaServer(Server):
    """One Kafka node; topics come into being when first used, with one partition."""

    name = "kafka"
    preferred_ports: ClassVar[Mapping[str, int]] = {
        "kafka": 29092,
        "controller": 29093,
        "tls": 29094,
        "sasl": 29095,
    }
    programs = ("kafka",)

    @property
    def url(self) -> str:
        """The broker."""
        return f"kafka://{HOST}:{self.port}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The listener that asks for a certificate over TLS, and the one that asks for a login."""
        return {name: f"kafka://{HOST}:{self.ports[name]}" for name in ("tls", "sasl")}

    def packages(self) -> Mapping[str, bool]:
        """Java, and Maven until Kafka's own files have been fetched."""
        return {
            "default-jre-headless": find_program("java") is not None,
            "maven": self._jars.is_dir() or find_program("mvn") is not None,
        }

    def launch(self) -> None:
        """Fetch Kafka where it is not here yet, write its settings, start it."""
        if not self._jars.is_dir():
            self._fetch()
        settings = self.folder / "server.properties"
        settings.write_text(_SETTINGS + self._addresses())
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        if not (self.folder / "data" / "meta.properties").exists():
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            format_words = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c"]
            self._run([*self._java("64m"), *format_words, str(settings)], "formatting its storage")
        self.spawn("kafka", [*self._java("384m"), "kafka.Kafka", str(settings)])

    def answers(self) -> bool:
        """The broker knows itself as part of the cluster."""
        client = AdminClient({"bootstrap.servers": f"{HOST}:{self.port}"})
        try:
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    @property
    def _jars(self) -> Path:
        """Beside the folder of what it stores, so that they outlive that."""
        return self.folder.parent / f"kafka-{_VERSION}"

    def _addresses(self) -> str:
        broker, controller, tls, sasl = (f"{HOST}:{port}" for port in self.ports.values())
        trust = self.authority.make()
        user, password = SASL_LOGIN
        scram = f"{_MODULES}.scram.ScramLoginModule required;"
        return (
            f"listeners=BROKER://{broker},CONTROLLER://{controller},TLS://{tls},SASL://{sasl}\n"
            f"advertised.listeners=BROKER://{broker},TLS://{tls},SASL://{sasl}\n"
            f"listener.name.sasl.plain.sasl.jaas.config={_MODULES}.plain.PlainLoginModule required"
            f' user_{user}="{password}";\n'
            f"listener.name.sasl.scram-sha-256.sasl.jaas.config={scram}\n"
            f"listener.name.sasl.scram-sha-512.sasl.jaas.config={scram}\n"
            f"listener.name.tls.ssl.keystore.location={trust.server_chain}\n"
            f"listener.name.tls.ssl.truststore.location={trust.ca}\n"
            f"controller.quorum.voters=1@{controller}\n"
            f"log.dirs={self.folder / 'data'}\n"
        )

    def _java(self, heap: str) -> list[str]:
        return [
            *(find_program("java") or "", f"-Xmx{heap}", "-XX:+UseSerialGC"),
            *("-cp", f"{self._jars}/*"),
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
        ]

    def _fetch(self) -> None:
        work = self.folder / "fetch"
        work.mkdir(exist_ok=True)
        (work / "pom.xml").write_text(_POM)
        maven = find_program("mvn") or ""
        self._run(
            [maven, "-q", "-B", "-f", str(work / "pom.xml"), _COPY, "-DoutputDirectory=jars"],
            "fetching it from Maven Central",
        )
        (work / "jars").rename(self._jars)

    def _run(self, words: list[str], doing: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 (the system's own programs, no shell)
                words, capture_output=True, text=True, check=False, timeout=300
            )
        except subprocess.TimeoutExpired as exc:
            raise ServerError(f"{self.name}: {doing} took more than {exc.timeout:.0f} s") from exc
        if done.returncode:
            raise ServerError(f"{self.name}: {doing} failed: {(done.stdout + done.stderr)[-800:]}")
