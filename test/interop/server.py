"""Files of the working folder by GET, as HTTP/1.0 does it; POST is told what it has sent. Prints its port first."""
import hashlib
import http.server
import json


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        echo = json.dumps(
            {
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "length": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()  # No length: the body ends with the connection.
        self.wfile.write(echo)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256  # With the usual 5 the kernel drops connections of a burst, to be tried again seconds later.


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port)
server.serve_forever()
