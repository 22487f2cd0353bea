"""http.client through a gateway: prints one JSON object of what it has seen. Argument: the URL of the gateway."""
import hashlib
import http.client
import json
import sys
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1]).netloc


def summary(response):
    body = response.read()
    return {
        "status": response.status,
        "version": response.version,
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": body.decode() if len(body) < 4096 else "",
        "chunked": response.getheader("transfer-encoding") == "chunked",
    }


def call(connection, method, path, **more):
    connection.request(method, path, **more)
    return summary(connection.getresponse())


def pieces():
    for number in range(1000):
        yield b"%06d\n" % number * 100


connection = http.client.HTTPConnection(address, timeout=20)
connection.connect()
socket = connection.sock
seen = {
    "small": call(connection, "GET", "/nginx/small.txt"),
    "large": call(connection, "GET", "/nginx/large.bin"),
    "head": call(connection, "HEAD", "/nginx/large.bin"),
    "missing": call(connection, "GET", "/nginx/nothing"),
    "python": call(connection, "GET", "/python/large.bin"),
    "posted": call(connection, "POST", "/node/echo", body=b"x" * 100_000),
    "chunked": call(connection, "POST", "/node/stream", body=pieces(), encode_chunked=True,
                    headers={"Transfer-Encoding": "chunked"}),
    "toPython": call(connection, "POST", "/python/echo", body="caf\u00e9".encode()),
}
seen["sameConnection"] = connection.sock is socket

http.client.HTTPConnection._http_vsn = 10
http.client.HTTPConnection._http_vsn_str = "HTTP/1.0"
for name, path in (("old", "/nginx/small.txt"), ("oldStream", "/node/stream")):
    seen[name] = call(http.client.HTTPConnection(address, timeout=20), "GET", path)

print(json.dumps(seen))
