"""Stands in for quoit-shard and quoit-router: takes their flags, is ready, and
tells what it was told and whom it reaches.

GET /readyz      200, unless STAND_IN says "never ready"
GET /flags       its flags, and the name it would have
GET /reach?to=A  whether an answer comes from A, asked from --bind-outgoing:
                 the answer, "silent" or "broken"

It stops well at SIGTERM if it then reaches etcd, does not stop if STAND_IN says
"stubborn", and does not even start if that says "dies". A shard also answers whoever connects to --listen, with its name
and the address it sees.
"""

import http.server
import json
import os
import signal
import socket
import sys
import threading

flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
is_shard = "--shard" in flags
name = "shard-%s-%s" % (flags["--shard"], flags["--ordinal"]) if is_shard else "router-0"
says = os.environ.get("STAND_IN", "")


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def reach(to):
    try:
        with socket.create_connection(address(to), 3, (flags["--bind-outgoing"], 0)) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return connection.recv(1000).decode() or "broken"
    except TimeoutError:
        return "silent"
    except OSError:
        return "broken"


class Operators(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 200, ""
        if self.path == "/readyz" and says == "never ready":
            status = 503
        elif self.path == "/flags":
            body = json.dumps({"name": name, "flags": flags})
        elif self.path.startswith("/reach?to="):
            body = reach(self.path.split("=", 1)[1])
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def serve_members():
    listener = socket.create_server(address(flags["--listen"]))
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=answer_member, args=(connection, peer), daemon=True).start()


def answer_member(connection, peer):
    with connection:
        try:
            if connection.recv(1000):
                connection.sendall(("%s sees %s" % (name, peer[0])).encode())
        except OSError:
            pass


def stop(*_):
    # As one that gives back a lease on its way out.
    etcd = flags["--etcd"].replace("http://", "")
    print("stopped well" if "health" in reach(etcd) else "stopped without etcd", flush=True)
    os._exit(0)


print("begun", flush=True)
if says == "dies":
    sys.exit("no use in living")
signal.signal(signal.SIGTERM, signal.SIG_IGN if says == "stubborn" else stop)
if is_shard:
    os.makedirs(flags["--data-dir"], exist_ok=True)
    with open(os.path.join(flags["--data-dir"], "starts"), "a") as starts:
        starts.write("start\n")
    threading.Thread(target=serve_members, daemon=True).start()
http.server.ThreadingHTTPServer.daemon_threads = True
where = flags["--http"] if is_shard else flags["--listen"]
http.server.ThreadingHTTPServer(address(where), Operators).serve_forever()
