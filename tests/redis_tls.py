"""A Redis server that speaks TLS alone, with an authority of its own."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from connectors.contract import ConnectorSettings, UnavailableError
from connectors.redis import RedisSink
from scripts.servers.authority import Authority


@contextmanager
def tls_redis(folder: Path, port: int) -> Iterator[tuple[str, Path]]:
    """Its URL and the certificate to trust, while it runs."""
    pem, key = folder / "ca.pem", folder / "key.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    made += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {pem}"
    subprocess.run(["openssl", *made.split()], check=True, capture_output=True)
    words = f"--port 0 --tls-port {port} --tls-cert-file {pem} --tls-key-file {key}"
    words += f" --tls-auth-clients no --bind 127.0.0.1 --dir {folder} --save"
    with subprocess.Popen(
        ["redis-server", *words.split(), ""], stdout=subprocess.DEVNULL
    ) as server:
        try:
            url = f"rediss://127.0.0.1:{port}/0"
            for _ in range(200):
                with suppress(UnavailableError):
                    RedisSink(f"{url}?ssl_ca_certs={pem}", ConnectorSettings()).check()
                    break
            yield url, pem
        finally:
            server.terminate()


@contextmanager
def mutual_redis(folder: Path, trust: Authority) -> Iterator[str]:
    """The URL, without options, of one that asks clients for a certificate, while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = f"--port 0 --tls-port {port} --tls-cert-file {trust.server}"
    words += f" --tls-key-file {trust.server_key} --tls-ca-cert-file {trust.ca}"
    words += f" --tls-auth-clients yes --bind 127.0.0.1 --dir {folder} --save"
    url = f"rediss://127.0.0.1:{port}/0"
    ours = f"ssl_ca_certs={trust.ca}&ssl_certfile={trust.client}&ssl_keyfile={trust.client_key}"
    with subprocess.Popen(
        ["redis-server", *words.split(), ""], stdout=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(200):
                with suppress(UnavailableError):
                    RedisSink(f"{url}?{ours}", ConnectorSettings()).check()
                    break
            yield url
        finally:
            server.terminate()
