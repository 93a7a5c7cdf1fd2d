"""python -m labaws --listen HOST:PORT [--rds HOST:PORT] [--spreads SECONDS]"""
import argparse
import logging
import os
import signal
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

from . import actions, ebs, ec2, ecs, elb, rds, route53, state  # noqa: F401  each patches its service


class Lab:
    """Requests below /lab/ are the data plane's; all others are moto's."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/lab/"):
            return self.moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            status, text = state.answer(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), body)
        except Exception as error:  # the lab's own bug: say which
            logging.exception("%s", path)
            status, text = 500, f'{{"message": "{type(error).__name__}"}}'
        data = text.encode()
        start_response(f"{status} lab", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
        return [data]


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # SDKs keep their connections

    def log_request(self, *args):
        pass


def main():
    parser = argparse.ArgumentParser(prog="labaws")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--rds")
    parser.add_argument("--spreads", type=float)
    args = parser.parse_args()
    host, _, port = args.listen.rpartition(":")
    os.environ.setdefault("MOTO_PORT", port)
    if args.rds:
        rds_host, _, rds_port = args.rds.rpartition(":")
        rds.use(rds_host, int(rds_port))
    if args.spreads is not None:
        route53.SPREADS = args.spreads
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: sys.exit(0))
    run_simple(host, int(port), Lab(), threaded=True, request_handler=Handler)


main()
