"""InfluxDB 1.6 of Debian behind nginx, which turns writes of the v2 API into v1's.

Real write errors come through (malformed lines, field conflicts, unknown bucket). Reading back
is InfluxQL on /query; there is no Flux.
"""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import ClassVar
from urllib.parse import urlencode

from scripts.servers.contract import HOST, Server
from scripts.servers.processes import find_program

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
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "";
    location = /api/v2/write {{
      proxy_pass http://influxd/write?db=$arg_bucket&precision=$v1_precision;
    }}
    location / {{ proxy_pass http://influxd; }}
  }}
}}
"""


class InfluxdbServer(Server):
    """One InfluxDB and the nginx in front of it."""

    name = "influxdb"
    preferred_ports: ClassVar[Mapping[str, int]] = {"v2": 28087, "v1": 28086, "backup": 28088}
    programs = ("influxd", "nginx")

    @property
    def url(self) -> str:
        """Host, organisation, bucket; any token is taken."""
        return f"influxdb://{HOST}:{self.port}/{_ORGANISATION}/{_BUCKET}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where to read back."""
        return {"InfluxQL": f"http://{HOST}:{self.port}/query?db={_BUCKET}"}

    def packages(self) -> Mapping[str, bool]:
        """Debian's servers."""
        needed = {"influxdb": "influxd", "nginx": "nginx"}
        return {package: find_program(name) is not None for package, name in needed.items()}

    def launch(self) -> None:
        """Write both settings, start both."""
        words = {"folder": self.folder, "host": HOST, **self.ports}
        (self.folder / "influxd.toml").write_text(_INFLUXD.format(**words))
        (self.folder / "nginx.conf").write_text(_NGINX.format(**words))
        influxd, nginx = find_program("influxd") or "", find_program("nginx") or ""
        self.spawn("influxd", [influxd, "-config", str(self.folder / "influxd.toml")])
        early_errors = str(self.folder / "nginx.log")  # else in a folder of the system's
        self.spawn("nginx", [nginx, "-e", early_errors, "-c", str(self.folder / "nginx.conf")])

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
