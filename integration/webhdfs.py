"""Files of the cluster's HDFS by its REST API: no JVM to start for a handful of small files.

Source: Hadoop's WebHDFS documentation; in non-secure mode the user is whom `user.name` says.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

from integration.shell import ClusterError

_REQUEST_SECONDS = 60


class WebHdfs:
    """The file system whose NameNode answers at `base`, http://host:port.

    `addresses` gives the nodes' names, to which the NameNode redirects, as addresses: they are known on the
    cluster only.
    """

    def __init__(self, base: str, addresses: Mapping[str, str]) -> None:
        self._base = base
        self._addresses = addresses

    def read(self, path: str, user: str) -> bytes:
        """Return a file's content."""
        return self._call("GET", path, user, "OPEN")

    def write(self, path: str, content: bytes, user: str) -> None:
        """Write a file, in place of one that is there; folders above it are made."""
        self._call("PUT", path, user, "CREATE", content, overwrite="true")

    def _call(
        self, method: str, path: str, user: str, operation: str, content: bytes | None = None, **more: str
    ) -> bytes:
        query = urllib.parse.urlencode({"op": operation, "user.name": user, "noredirect": "true", **more})
        try:
            answer = _request(method, f"{self._base}/webhdfs/v1{urllib.parse.quote(path)}?{query}")
            return _request(method, self._reachable(json.loads(answer)["Location"]), content)
        except urllib.error.HTTPError as error:
            words = error.read().decode(errors="replace")
            raise ClusterError(f"HDFS {operation} of {path} by {user}: {error}: {words}") from error
        except OSError as error:
            raise ClusterError(f"HDFS {operation} of {path} by {user}: {error}") from error

    def _reachable(self, url: str) -> str:
        """A DataNode's URL with its address for its name."""
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        return parts._replace(netloc=f"{self._addresses.get(host, host)}:{parts.port}").geturl()


def _request(method: str, url: str, content: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, method=method, data=content)
    if content is not None:
        request.add_header("Content-Type", "application/octet-stream")  # anything else is refused
    with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as response:
        return bytes(response.read())
