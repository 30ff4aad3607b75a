"""Redis servers that speak TLS alone."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.contract import ConnectorSettings, UnavailableError
from connectors.redis import RedisSink
from scripts.servers.authority import Authority
from tests.ports import unused_ports


@contextmanager
def tls_redis(folder: Path) -> Iterator[tuple[str, Path]]:
    """The URL of one with an authority of its own, and the certificate to trust, while it runs."""
    pem, key = folder / "ca.pem", folder / "key.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    made += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {pem}"
    subprocess.run(["openssl", *made.split()], check=True, capture_output=True)
    words = f"--tls-cert-file {pem} --tls-key-file {key} --tls-auth-clients no"
    with _running(folder, words, f"ssl_ca_certs={pem}") as url:
        yield url, pem


@contextmanager
def mutual_redis(folder: Path, trust: Authority) -> Iterator[str]:
    """The URL, without options, of one that asks clients for a certificate, while it runs."""
    words = f"--tls-cert-file {trust.server} --tls-key-file {trust.server_key}"
    words += f" --tls-ca-cert-file {trust.ca} --tls-auth-clients yes"
    ours = f"ssl_ca_certs={trust.ca}&ssl_certfile={trust.client}&ssl_keyfile={trust.client_key}"
    with _running(folder, words, ours) as url:
        yield url


@contextmanager
def _running(folder: Path, words: str, options: str, limit_s: float = 60) -> Iterator[str]:
    """The URL of a server with these words in its command, from when it answers to ``options``."""
    [port] = unused_ports(1)
    words = (
        f"redis-server --port 0 --tls-port {port} --bind 127.0.0.1 --dir {folder} {words} --save"
    )
    url = f"rediss://127.0.0.1:{port}/0"
    log = folder / "redis.log"
    with log.open("w") as told, subprocess.Popen([*words.split(), ""], stdout=told) as server:
        try:
            _wait_for(server, f"{url}?{options}", log, time.monotonic() + limit_s)
            yield url
        finally:
            server.terminate()


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path, until_s: float) -> None:
    while True:
        try:
            RedisSink(url, ConnectorSettings()).check()
        except UnavailableError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until_s, log.read_text()
            time.sleep(0.05)  # noqa: TID251 (a test that waits for the server)
        else:
            return
