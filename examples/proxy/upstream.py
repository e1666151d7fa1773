"""A small API that knows nothing of shelflife: standard library only. It says how long its answers are fresh."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PRICES = {"tea": 3, "coffee": 4}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.removeprefix("/prices/")
        if name not in PRICES:
            return self.answer(404, {"error": f"no price for {name}"}, "no-store")
        time.sleep(0.2)  # what makes a cache worth its while
        self.answer(200, {"name": name, "price": PRICES[name]}, "max-age=60")

    def do_PUT(self):
        name = self.path.removeprefix("/prices/")
        length = int(self.headers.get("Content-Length", 0))
        PRICES[name] = json.loads(self.rfile.read(length))
        self.answer(200, {"name": name, "price": PRICES[name]}, "no-store")

    def answer(self, status, value, cache_control):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", cache_control)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
