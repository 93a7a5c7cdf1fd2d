"""moto's own server, and beside it what the lab's data plane follows: GET /lab/elb and GET /lab/machines.

Both take since (a version) and wait (seconds) and answer when something may have changed since then, or when the wait is over.
"""

import argparse
import io
import json
import signal
import sys
import threading
from urllib.parse import parse_qs

from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

from . import ebs, ec2, ecs, elb, rds  # noqa: F401  (they patch when they are imported)


class Clock:
    """Counts the calls that may have changed something."""

    def __init__(self):
        self.version, self.changed = 0, threading.Condition()

    def tick(self):
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    def wait(self, since, seconds):
        with self.changed:
            self.changed.wait_for(lambda: self.version != since, timeout=seconds)
            return self.version


def backends(of):
    for account in list(of.values()):
        yield from list(account.values())


def elb_state():
    listeners, groups = [], []
    for b in backends(elbv2_backends):
        more, also = elb.state(b)
        listeners += more
        groups += also
    return {"listeners": listeners, "targetGroups": groups}


def machine_state():
    out = []
    for b in backends(ec2_backends):
        out += ec2.machines(b)
    for b in backends(ecs_backends):
        out += ecs.machines(b)
    return {"machines": out}


ROUTES = {"/lab/elb": elb_state, "/lab/machines": machine_state}


class Server:
    def __init__(self, app):
        self.app, self.clock = app, Clock()

    def __call__(self, environ, start_response):
        state = ROUTES.get(environ.get("PATH_INFO"))
        if state:
            return self.lab(state, environ, start_response)
        reads = only_reads(environ)
        try:
            return self.app(environ, start_response)
        finally:
            if not reads:
                self.clock.tick()

    def lab(self, state, environ, start_response):
        query = {k: int(v[0]) for k, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
        version = self.clock.wait(query["since"], query.get("wait", 0)) if "since" in query else self.clock.version
        body = json.dumps({"version": version, **state()}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def only_reads(environ):
    """Whether a call cannot have changed anything, by its name."""
    if environ["REQUEST_METHOD"] == "GET":
        return True
    action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if not action:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        action = parse_qs(body[:4096].decode("latin-1")).get("Action", [""])[0]
    return action.startswith(("Describe", "List", "Get"))


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept: a new one costs more than the call

    def log_request(self, *args):
        pass


def main():
    parser = argparse.ArgumentParser(prog="labaws")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--rds", help="host:port of the PostgreSQL that every RDS instance is")
    args = parser.parse_args()
    if args.rds:
        host, _, port = args.rds.rpartition(":")
        rds.ENDPOINT = (host, int(port))
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: sys.exit(0))
    run_simple(args.host, args.port, Server(DomainDispatcherApplication(create_backend_app)), threaded=True, request_handler=Quiet)
