"""Starts the API and the proxy before it, asks, and says what happened. Usage: tour.py PATH-OF-SHELFLIFE"""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent


def start(*command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        sys.exit(f"{command[0]} did not start: {line!r}")
    return process, line.removeprefix("listening on ").strip().removeprefix("http://")


def ask(what, url, expected, method="GET", body=None):
    began = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(url, method=method, data=body)) as response:
        value, status = json.load(response), response.headers["Cache-Status"]
    took = (time.monotonic() - began) * 1000
    print(f"{what:<44}{took:7.1f} ms  {status}")
    # Who asks while the answer is on its way into the store shares it: RFC 9211 §2.6.
    if expected not in status and not (expected == "hit" and "collapsed" in status):
        sys.exit(f"expected {expected!r}")
    return value


def main():
    shelflife = sys.argv[1]
    api, upstream = start(sys.executable, str(HERE / "upstream.py"), "0")
    proxy, address = start(shelflife, "proxy", "--config", str(HERE / "proxy.toml"), "--upstream", f"http://{upstream}")
    try:
        url = f"http://{address}/prices/tea"
        ask("first: the API is asked", url, "stored")
        ask("again: it is not", url, "hit")
        ask("a write goes through, and invalidates the URL", url, "fwd=method", "PUT", b"5")
        price = ask("so this is the new price", url, "stored")["price"]
        if price != 5:
            sys.exit(f"an old price was served: {price}")
        api.kill()
        ask("the API is gone: what is fresh is still served", url, "hit")
    finally:
        for process in (proxy, api):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
