"""InfluxDB behind nginx: 1.8 built from source, else 1.6 of Debian.

1.8 has an API of version 2 of its own; for 1.6 nginx turns its writes into version 1's. Real write
errors come through (malformed lines, field conflicts, unknown bucket). Reading back is InfluxQL on
/query; there is no Flux.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlencode

from scripts.servers.contract import HOST, Server
from scripts.servers.errors import ServerError
from scripts.servers.processes import find_program

_VERSION: Final = "1.8.10"  # the last of version 1 that Go's module proxy has
_MODULE: Final = f"github.com/influxdata/influxdb/cmd/influxd@v{_VERSION}"
_BUILD_S: Final = 3600.0
_ORGANISATION = "farwatch"
_BUCKET = "farwatch"

_INFLUXD = """\
reporting-disabled = true
bind-address = "{host}:{backup}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "{host}:{v1}"
log-enabled = false
[monitor]
store-enabled = false
"""
_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.lock;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 64m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $arg_precision $v1_precision {{ default n; us u; ms ms; s s; }}
  upstream influxd {{ server {host}:{v1}; keepalive 8; }}
  server {{
    listen {host}:{v2};
    listen {host}:{tls} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "";
    {rewrite}
    location / {{ proxy_pass http://influxd; }}
  }}
}}
"""
_REWRITE = """\
location = /api/v2/write {
      proxy_pass http://influxd/write?db=$arg_bucket&precision=$v1_precision;
    }"""


class InfluxdbServer(Server):
    """One InfluxDB and the nginx in front of it."""

    name = "influxdb"
    preferred_ports: ClassVar[Mapping[str, int]] = {
        "v2": 28087,
        "v1": 28086,
        "backup": 28088,
        "tls": 28089,
    }
    programs = ("influxd", "nginx")

    @property
    def url(self) -> str:
        """Host, organisation, bucket; any token is taken."""
        return f"influxdb://{HOST}:{self.port}/{_ORGANISATION}/{_BUCKET}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where to read back, and where it speaks TLS."""
        return {
            "InfluxQL": f"http://{HOST}:{self.port}/query?db={_BUCKET}",
            "tls": f"influxdb://{HOST}:{self.ports['tls']}/{_ORGANISATION}/{_BUCKET}?tls=true",
        }

    def packages(self) -> Mapping[str, bool]:
        """Debian's servers; its InfluxDB only until another was built."""
        return {
            "influxdb": self._built.exists() or find_program("influxd") is not None,
            "nginx": find_program("nginx") is not None,
        }

    def build(self) -> None:
        """Build InfluxDB 1.8 with Go from its module proxy; the next start runs it.

        Every module is checked against Go's checksum database.

        Raises:
            ServerError: there is no Go, or it fails; the end of what it says is in the message.
        """
        go = find_program("go")
        if go is None:
            raise ServerError(f"{self.name}: building it needs `go`; install golang-go first")
        environment = {
            **os.environ,
            "GOBIN": str(self._built.parent),
            "GOSUMDB": "sum.golang.org",
            "GONOSUMDB": "",
        }
        words = [go, "install", "-ldflags", f"-X main.version={_VERSION}", _MODULE]
        try:
            done = subprocess.run(  # noqa: S603 (the system's own program, no shell)
                words,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=_BUILD_S,
            )
        except subprocess.TimeoutExpired as exc:
            raise ServerError(f"{self.name}: building took more than {exc.timeout:.0f} s") from exc
        if done.returncode:
            raise ServerError(f"{self.name}: building failed: {done.stderr[-800:]}")

    def launch(self) -> None:
        """Write both settings, start both."""
        trust = self.authority.make()
        words = {"folder": self.folder, "host": HOST, **self.ports}
        words |= {"certificate": trust.server, "key": trust.server_key}
        words["rewrite"] = "" if self._built.exists() else _REWRITE
        (self.folder / "influxd.toml").write_text(_INFLUXD.format(**words))
        (self.folder / "nginx.conf").write_text(_NGINX.format(**words))
        influxd = str(self._built) if self._built.exists() else find_program("influxd") or ""
        nginx = find_program("nginx") or ""
        self.spawn("influxd", [influxd, "-config", str(self.folder / "influxd.toml")])
        early_errors = str(self.folder / "nginx.log")  # else in a folder of the system's
        self.spawn("nginx", [nginx, "-e", early_errors, "-c", str(self.folder / "nginx.conf")])

    @property
    def _built(self) -> Path:
        """Beside the folder of what it stores, so that it outlives that."""
        return self.folder.parent / f"influxdb-{_VERSION}" / "influxd"

    def answers(self) -> bool:
        """The bucket is there, made where it was not."""
        connection = HTTPConnection(HOST, self.port, timeout=5)
        try:
            query = urlencode({"q": f'CREATE DATABASE "{_BUCKET}"'})
            connection.request("POST", f"/query?{query}")
            answer = connection.getresponse()
            return answer.status == 200 and "error" not in json.loads(answer.read())["results"][0]
        except (OSError, HTTPException, ValueError):
            return False
        finally:
            connection.close()
