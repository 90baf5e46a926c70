#!/usr/bin/env python3
"""grpc.testing.TestService on grpcio, by the interop test descriptions.

    server.py --listen HOST:PORT --cert FILE --key FILE --ca FILE --clients require|none --seconds N --protos DIR
"""
import argparse
import concurrent.futures
import pathlib
import sys
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import client  # noqa: E402  (the stock client's stubs serve here, too)


def echo_metadata(context):
    given = dict(context.invocation_metadata())
    if "x-grpc-test-echo-initial" in given:
        context.send_initial_metadata([("x-grpc-test-echo-initial", given["x-grpc-test-echo-initial"])])
    if "x-grpc-test-echo-trailing-bin" in given:
        context.set_trailing_metadata([("x-grpc-test-echo-trailing-bin", given["x-grpc-test-echo-trailing-bin"])])


def set_status(context, request):
    if request.HasField("response_status") and request.response_status.code != 0:
        context.abort(next(c for c in grpc.StatusCode if c.value[0] == request.response_status.code), request.response_status.message)


def service(pb, rpc):
    class Service(rpc.TestServiceServicer):
        def EmptyCall(self, request, context):
            echo_metadata(context)
            return pb.Empty()

        def UnaryCall(self, request, context):
            if request.response_compressed.value:
                context.set_compression(grpc.Compression.Gzip)
            echo_metadata(context)
            set_status(context, request)
            return pb.SimpleResponse(payload=pb.Payload(body=bytes(request.response_size)))

        def answers(self, request, context):
            for p in request.response_parameters:
                if p.interval_us > 0:
                    time.sleep(p.interval_us / 1e6)
                if not context.is_active():
                    return
                if not p.compressed.value:
                    context.disable_next_message_compression()
                yield pb.StreamingOutputCallResponse(payload=pb.Payload(body=bytes(p.size)))

        def StreamingOutputCall(self, request, context):
            if any(p.compressed.value for p in request.response_parameters):
                context.set_compression(grpc.Compression.Gzip)
            yield from self.answers(request, context)

        def StreamingInputCall(self, request_iterator, context):
            return pb.StreamingInputCallResponse(aggregated_payload_size=sum(len(r.payload.body) for r in request_iterator))

        def FullDuplexCall(self, request_iterator, context):
            echo_metadata(context)
            for request in request_iterator:
                set_status(context, request)
                yield from self.answers(request, context)

    return Service()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("listen", "cert", "key", "ca", "protos"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--clients", choices=("require", "none"), required=True)
    parser.add_argument("--seconds", type=int, required=True)
    args = parser.parse_args()
    client.generate([args.protos])
    pb, rpc = client.testing()
    files = {name: pathlib.Path(getattr(args, name)).read_bytes() for name in ("cert", "key", "ca")}
    must = args.clients == "require"
    credentials = grpc.ssl_server_credentials([(files["key"], files["cert"])], files["ca"] if must else None, must)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=client.CHANNEL_OPTIONS)
    rpc.add_TestServiceServicer_to_server(service(pb, rpc), server)
    port = server.add_secure_port(args.listen, credentials)
    server.start()
    print(f"version grpcio {grpc.__version__} on Python {sys.version.split()[0]}")
    print(f"listening 127.0.0.1:{port}", flush=True)
    server.wait_for_termination(args.seconds)


if __name__ == "__main__":
    main()
