#!/usr/bin/env python3
"""The library's example service on grpcio, either side, over mutual TLS.

    echo.py --target HOST:PORT --say TEXT --cert FILE --key FILE --ca FILE      prints the answer
    echo.py --listen HOST:PORT --seconds N --cert FILE --key FILE --ca FILE     prints "listening ADDRESS"
"""
import argparse
import concurrent.futures
import importlib
import pathlib
import sys
import time

import grpc

import client

PROTOS = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/grpc"


def serve(args, files, rpc):
    class Service(rpc.EchoServicer):
        def Say(self, request, context):
            return request

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
    rpc.add_EchoServicer_to_server(Service(), server)
    credentials = grpc.ssl_server_credentials([(files["key"], files["cert"])], files["ca"], require_client_auth=True)
    port = server.add_secure_port(args.listen, credentials)
    server.start()
    print(f"listening 127.0.0.1:{port}", flush=True)
    time.sleep(args.seconds)
    server.stop(0)


def say(args, files, pb, rpc):
    credentials = grpc.ssl_channel_credentials(files["ca"], files["key"], files["cert"])
    with grpc.secure_channel(args.target, credentials) as channel:
        print(rpc.EchoStub(channel).Say(pb.Words(text=args.say), timeout=30, wait_for_ready=True).text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("cert", "key", "ca"):
        parser.add_argument("--" + name, required=True)
    for name in ("listen", "target", "say"):
        parser.add_argument("--" + name)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    client.generate([str(PROTOS)])
    pb, rpc = importlib.import_module("echo_pb2"), importlib.import_module("echo_pb2_grpc")
    files = {name: pathlib.Path(getattr(args, name)).read_bytes() for name in ("cert", "key", "ca")}
    if args.listen is None:
        say(args, files, pb, rpc)
    else:
        serve(args, files, rpc)


if __name__ == "__main__":
    sys.exit(main())
