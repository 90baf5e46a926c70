#!/usr/bin/env python3
"""A stock gRPC client against our server: one line a case, exit status 0 only when every case passed.

    client.py --address HOST:PORT --ca FILE --cert FILE --key FILE --protos DIR[,DIR...] [--set common,testing] [--cases A,B] [--pid PID]

Sets: `common` holds for every Hawser server (TLS, health, reflection, unknown methods); `interop` (gRPC's cases),
`testing` and `drain` need grpc.testing.TestService. Stubs are generated from the .proto files by grpcio-tools into a temporary folder.
"""
import argparse
import importlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

import grpc
from grpc_tools import protoc

TIMEOUT_S = 15  # of every call that names none of its own
BIG_LIMIT = 4 * 1024 * 1024
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
    ("grpc.max_send_message_length", 8 * 1024 * 1024),
    ("grpc.enable_retries", 0),
]


def generate(roots):
    """Compiles every .proto below the roots into one temporary package folder. A root may hold another."""
    out = tempfile.mkdtemp(prefix="hawser-stubs-")
    for root in roots:
        inner_roots = tuple(other + "/" for other in roots if other.startswith(root + "/"))
        files = [str(p) for p in pathlib.Path(root).rglob("*.proto")
                 if "google/protobuf" not in str(p) and not str(p).startswith(inner_roots)]
        args = ["protoc", "-I" + root, "-I" + str(pathlib.Path(importlib.import_module("grpc_tools").__file__).parent / "_proto")]
        for other in roots:
            if other != root:
                args.append("-I" + other)
        if protoc.main(args + ["--python_out=" + out, "--grpc_python_out=" + out] + files) != 0:
            sys.exit("protoc failed on " + root)
    # "grpc/..." of our protos would hide grpcio: its generated modules join the grpc package instead.
    sys.path.insert(0, out)
    inner = pathlib.Path(out) / "grpc"
    if inner.is_dir():
        grpc.__path__.append(str(inner))
    google = pathlib.Path(out) / "google"
    if google.is_dir():
        importlib.import_module("google").__path__.append(str(google))
    return out


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def code_of(call):
    """Runs call; the status code it fails with, OK when it does not."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


class World:
    def __init__(self, args):
        self.address = args.address
        self.pid = args.pid
        self.n_calls, self.n_rpcs, self.n_dials = args.calls, args.rpcs, args.dials
        if self.address.startswith("unix:"):
            self.ca = self.cert = self.key = None
        else:
            self.ca = pathlib.Path(args.ca).read_bytes()
            self.cert = pathlib.Path(args.cert).read_bytes()
            self.key = pathlib.Path(args.key).read_bytes()
        self.channel = self.connect(self.cert, self.key)

    def connect(self, cert=None, key=None, options=()):
        if self.ca is None:
            return grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS + list(options))
        credentials = grpc.ssl_channel_credentials(self.ca, key, cert)
        return grpc.secure_channel(self.address, credentials, options=CHANNEL_OPTIONS + list(options))


# ---- common ----------------------------------------------------------------------------------------------------


def health_modules():
    return (importlib.import_module("grpc.health.v1.health_pb2"), importlib.import_module("grpc.health.v1.health_pb2_grpc"))


def tls_without_client_certificate_is_refused(world):
    pb, rpc = health_modules()
    with world.connect() as channel:
        stub = rpc.HealthStub(channel)
        code = code_of(lambda: stub.Check(pb.HealthCheckRequest(), timeout=3))
        check(code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), f"got {code}")


def plaintext_is_refused(world):
    pb, rpc = health_modules()
    with grpc.insecure_channel(world.address) as channel:
        code = code_of(lambda: rpc.HealthStub(channel).Check(pb.HealthCheckRequest(), timeout=3))
        check(code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), f"got {code}")


def health_check_says_serving(world):
    pb, rpc = health_modules()
    answer = rpc.HealthStub(world.channel).Check(pb.HealthCheckRequest(), timeout=TIMEOUT_S)
    check(answer.status == pb.HealthCheckResponse.SERVING, f"status {answer.status}")


def health_check_of_unknown_service_is_not_found(world):
    pb, rpc = health_modules()
    stub = rpc.HealthStub(world.channel)
    code = code_of(lambda: stub.Check(pb.HealthCheckRequest(service="no.Such"), timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.NOT_FOUND, f"got {code}")


def health_list_has_the_whole_server(world):
    pb, rpc = health_modules()
    answer = rpc.HealthStub(world.channel).List(pb.HealthListRequest(), timeout=TIMEOUT_S)
    check(answer.statuses[""].status == pb.HealthCheckResponse.SERVING, str(answer))


def health_watch_answers_and_is_cancelled(world):
    pb, rpc = health_modules()
    stub = rpc.HealthStub(world.channel)
    watch = stub.Watch(pb.HealthCheckRequest(), timeout=TIMEOUT_S)
    check(next(watch).status == pb.HealthCheckResponse.SERVING, "first state")
    unknown = stub.Watch(pb.HealthCheckRequest(service="no.Such"), timeout=TIMEOUT_S)
    check(next(unknown).status == pb.HealthCheckResponse.SERVICE_UNKNOWN, "unknown name")
    watch.cancel()
    unknown.cancel()
    check(watch.code() == grpc.StatusCode.CANCELLED, f"got {watch.code()}")


def reflect(world, version, requests):
    pb = importlib.import_module(f"grpc.reflection.{version}.reflection_pb2")
    rpc = importlib.import_module(f"grpc.reflection.{version}.reflection_pb2_grpc")
    stub = rpc.ServerReflectionStub(world.channel)
    return list(stub.ServerReflectionInfo(iter([pb.ServerReflectionRequest(**r) for r in requests]), timeout=TIMEOUT_S))


def reflection_lists_and_describes(world, version):
    from google.protobuf import descriptor_pb2, descriptor_pool

    (listed,) = reflect(world, version, [{"list_services": ""}])
    names = [s.name for s in listed.list_services_response.service]
    check(f"grpc.reflection.{version}.ServerReflection" in names, str(names))
    check("grpc.health.v1.Health" in names, str(names))
    answers = reflect(world, version, [{"file_containing_symbol": n} for n in names])
    check(len(answers) == len(names), "an answer for each request")
    pool = descriptor_pool.DescriptorPool()
    files = {}
    for answer in answers:
        check(answer.WhichOneof("message_response") == "file_descriptor_response", str(answer)[:200])
        for blob in answer.file_descriptor_response.file_descriptor_proto:
            proto = descriptor_pb2.FileDescriptorProto.FromString(blob)
            files[proto.name] = proto
    added = set()

    def add(name):
        if name not in added:
            added.add(name)
            for dependency in files[name].dependency:
                add(dependency)
            pool.Add(files[name])

    for name in list(files):
        add(name)
    for name in names:
        check(len(pool.FindServiceByName(name).methods) > 0, name)
    (missing,) = reflect(world, version, [{"file_by_filename": "no/such.proto"}])
    check(missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], str(missing))
    (by_name,) = reflect(world, version, [{"file_by_filename": "grpc/health/v1/health.proto"}])
    check(len(by_name.file_descriptor_response.file_descriptor_proto) == 1, "file by name")


def reflection_v1(world):
    reflection_lists_and_describes(world, "v1")


def reflection_v1alpha(world):
    reflection_lists_and_describes(world, "v1alpha")


def unknown_method_and_service_are_unimplemented(world):
    for path in ("/grpc.health.v1.Health/Nothing", "/no.Such/Method"):
        call = world.channel.unary_unary(path)
        code = code_of(lambda: call(b"", timeout=TIMEOUT_S))
        check(code == grpc.StatusCode.UNIMPLEMENTED, f"{path}: {code}")


def malformed_message_is_internal(world):
    call = world.channel.unary_unary("/grpc.health.v1.Health/Check")
    code = code_of(lambda: call(b"\x0a\x7f", timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.INTERNAL, f"got {code}")


COMMON = [
    tls_without_client_certificate_is_refused,
    plaintext_is_refused,
    health_check_says_serving,
    health_check_of_unknown_service_is_not_found,
    health_list_has_the_whole_server,
    health_watch_answers_and_is_cancelled,
    reflection_v1,
    reflection_v1alpha,
    unknown_method_and_service_are_unimplemented,
    malformed_message_is_internal,
]

# ---- grpc.testing.TestService: the names are those of gRPC's interop test descriptions where there is one --------


def testing():
    pb = importlib.import_module("grpc_testing_pb2")
    rpc = importlib.import_module("grpc_testing_pb2_grpc")
    return pb, rpc


def test_stub(world):
    return testing()[1].TestServiceStub(world.channel)


def zeros(pb, n):
    return pb.Payload(body=bytes(n))


def empty_unary(world):
    pb, _ = testing()
    check(test_stub(world).EmptyCall(pb.Empty(), timeout=TIMEOUT_S) == pb.Empty(), "not empty")


def large_unary(world):
    pb, _ = testing()
    request = pb.SimpleRequest(response_size=314159, payload=zeros(pb, 271828))
    answer = test_stub(world).UnaryCall(request, timeout=TIMEOUT_S)
    check(answer.payload.body == bytes(314159), f"{len(answer.payload.body)} bytes")


def client_streaming(world):
    pb, _ = testing()
    sizes = (27182, 8, 1828, 45904)
    answer = test_stub(world).StreamingInputCall(
        (pb.StreamingInputCallRequest(payload=zeros(pb, n)) for n in sizes), timeout=TIMEOUT_S)
    check(answer.aggregated_payload_size == 74922, str(answer))


def server_streaming(world):
    pb, _ = testing()
    sizes = [31415, 9, 2653, 58979]
    request = pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=n) for n in sizes])
    got = [len(a.payload.body) for a in test_stub(world).StreamingOutputCall(request, timeout=TIMEOUT_S)]
    check(got == sizes, str(got))


class Pipe:
    """An iterator of requests that the test feeds while it reads answers."""

    def __init__(self):
        self.condition = threading.Condition()
        self.items = []
        self.closed = False

    def put(self, item):
        with self.condition:
            self.items.append(item)
            self.condition.notify()

    def close(self):
        with self.condition:
            self.closed = True
            self.condition.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self.condition:
            while not self.items and not self.closed:
                if not self.condition.wait(TIMEOUT_S):
                    raise StopIteration
            if self.items:
                return self.items.pop(0)
            raise StopIteration


def duplex_request(pb, size, request_size, interval_us=0):
    return pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=size, interval_us=interval_us)], payload=zeros(pb, request_size))


def ping_pong(world):
    pb, _ = testing()
    pipe = Pipe()
    answers = test_stub(world).FullDuplexCall(pipe, timeout=TIMEOUT_S)
    for request_size, size in zip((27182, 8, 1828, 45904), (31415, 9, 2653, 58979)):
        pipe.put(duplex_request(pb, size, request_size))
        check(len(next(answers).payload.body) == size, f"answer of {size}")
    pipe.close()
    check(next(answers, None) is None, "more answers")


def empty_stream(world):
    check(list(test_stub(world).FullDuplexCall(iter([]), timeout=TIMEOUT_S)) == [], "answers")


def timeout_on_sleeping_server(world):
    pb, _ = testing()
    pipe = Pipe()
    pipe.put(duplex_request(pb, 31415, 27182, interval_us=2_000_000))
    began = time.monotonic()
    code = code_of(lambda: list(test_stub(world).FullDuplexCall(pipe, timeout=0.3)))
    pipe.close()
    check(code == grpc.StatusCode.DEADLINE_EXCEEDED, f"got {code}")
    check(time.monotonic() - began < 2, "not before the answer came")
    pipe = Pipe()
    pipe.put(duplex_request(pb, 31415, 27182, interval_us=100_000))
    code = code_of(lambda: list(test_stub(world).FullDuplexCall(pipe, timeout=0.001)))
    pipe.close()
    check(code == grpc.StatusCode.DEADLINE_EXCEEDED, f"1 ms: {code}")


def cancel_after_begin(world):
    pipe = Pipe()
    call = test_stub(world).StreamingInputCall.future(pipe, timeout=TIMEOUT_S)
    call.cancel()
    check(call.code() == grpc.StatusCode.CANCELLED and call.cancelled(), f"got {call.code()}")
    pipe.close()


def cancel_after_first_response(world):
    pb, _ = testing()
    pipe = Pipe()
    call = test_stub(world).FullDuplexCall(pipe, timeout=TIMEOUT_S)
    pipe.put(duplex_request(pb, 31415, 27182))
    next(call)
    call.cancel()
    check(code_of(lambda: next(call)) == grpc.StatusCode.CANCELLED, "not cancelled")
    pipe.close()


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def status_both_ways(world, text):
    pb, _ = testing()
    status = pb.EchoStatus(code=2, message=text)
    stub = test_stub(world)
    got = status_of(lambda: stub.UnaryCall(pb.SimpleRequest(response_status=status), timeout=TIMEOUT_S))
    check(got == (grpc.StatusCode.UNKNOWN, text), f"unary {got}")
    request = pb.StreamingOutputCallRequest(response_status=status)
    got = status_of(lambda: list(stub.FullDuplexCall(iter([request]), timeout=TIMEOUT_S)))
    check(got == (grpc.StatusCode.UNKNOWN, text), f"bidi {got}")


def status_code_and_message(world):
    status_both_ways(world, "test status message")


def special_status_message(world):
    status_both_ways(world, "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001F608\t\n")


INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab\x00\xff")


def custom_metadata(world):
    pb, _ = testing()
    stub = test_stub(world)
    _, call = stub.UnaryCall.with_call(pb.SimpleRequest(response_size=10), metadata=[INITIAL, TRAILING], timeout=TIMEOUT_S)
    check(INITIAL in [tuple(m) for m in call.initial_metadata()], str(call.initial_metadata()))
    check(TRAILING in [tuple(m) for m in call.trailing_metadata()], str(call.trailing_metadata()))
    call = stub.FullDuplexCall(iter([duplex_request(pb, 31415, 27182)]), metadata=[INITIAL, TRAILING], timeout=TIMEOUT_S)
    check(len(list(call)) == 1, "answers")
    check(INITIAL in [tuple(m) for m in call.initial_metadata()], "bidi initial")
    check(TRAILING in [tuple(m) for m in call.trailing_metadata()], "bidi trailing")


def unimplemented_method(world):
    pb, _ = testing()
    code = code_of(lambda: test_stub(world).UnimplementedCall(pb.Empty(), timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.UNIMPLEMENTED, f"got {code}")


def unimplemented_service(world):
    pb, rpc = testing()
    stub = rpc.UnimplementedServiceStub(world.channel)
    code = code_of(lambda: stub.UnimplementedCall(pb.Empty(), timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.UNIMPLEMENTED, f"got {code}")


def client_compressed_unary(world):
    pb, _ = testing()
    stub = test_stub(world)
    request = pb.SimpleRequest(response_size=314159, payload=zeros(pb, 271828), expect_compressed=pb.BoolValue(value=True))
    code = code_of(lambda: stub.UnaryCall(request, timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.INVALID_ARGUMENT, f"the probe got {code}")
    answer = stub.UnaryCall(request, timeout=TIMEOUT_S, compression=grpc.Compression.Gzip)
    check(len(answer.payload.body) == 314159, "answer")


def client_compressed_streaming(world):
    pb, _ = testing()
    request = pb.StreamingInputCallRequest(payload=zeros(pb, 27182), expect_compressed=pb.BoolValue(value=True))
    stub = test_stub(world)
    code = code_of(lambda: stub.StreamingInputCall(iter([request]), timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.INVALID_ARGUMENT, f"the probe got {code}")
    answer = stub.StreamingInputCall(iter([request, request]), timeout=TIMEOUT_S, compression=grpc.Compression.Gzip)
    check(answer.aggregated_payload_size == 2 * 27182, str(answer))


def server_compressed_unary(world):
    pb, _ = testing()
    for on in (True, False):
        request = pb.SimpleRequest(response_size=314159, payload=zeros(pb, 271828), response_compressed=pb.BoolValue(value=on))
        answer = test_stub(world).UnaryCall(request, timeout=TIMEOUT_S)
        check(answer.payload.body == bytes(314159), f"compressed={on}")


def server_compressed_streaming(world):
    pb, _ = testing()
    request = pb.StreamingOutputCallRequest(response_parameters=[
        pb.ResponseParameters(size=31415, compressed=pb.BoolValue(value=True)),
        pb.ResponseParameters(size=92653, compressed=pb.BoolValue(value=False))])
    got = [len(a.payload.body) for a in test_stub(world).StreamingOutputCall(request, timeout=TIMEOUT_S)]
    check(got == [31415, 92653], str(got))


def unknown_compression_is_unimplemented(world):
    pb, _ = testing()
    request = pb.SimpleRequest(payload=zeros(pb, 1000))
    code = code_of(lambda: test_stub(world).UnaryCall(request, timeout=TIMEOUT_S, compression=grpc.Compression.Deflate))
    check(code == grpc.StatusCode.UNIMPLEMENTED, f"got {code}")


def message_at_and_over_the_limit(world):
    pb, _ = testing()
    stub = test_stub(world)
    overhead = pb.SimpleRequest(payload=zeros(pb, BIG_LIMIT - 100), response_size=1).ByteSize() - (BIG_LIMIT - 100)
    fits = pb.SimpleRequest(payload=zeros(pb, BIG_LIMIT - overhead), response_size=1)
    check(fits.ByteSize() == BIG_LIMIT, f"{fits.ByteSize()}")
    check(len(stub.UnaryCall(fits, timeout=TIMEOUT_S).payload.body) == 1, "at the limit")
    over = pb.SimpleRequest(payload=zeros(pb, BIG_LIMIT - overhead + 1), response_size=1)
    code = code_of(lambda: stub.UnaryCall(over, timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.RESOURCE_EXHAUSTED, f"over: {code}")
    check(len(stub.UnaryCall(fits, timeout=TIMEOUT_S).payload.body) == 1, "the connection lives on")


def compressed_bomb_is_stopped(world):
    pb, _ = testing()
    request = pb.SimpleRequest(payload=zeros(pb, BIG_LIMIT + 1000))
    code = code_of(lambda: test_stub(world).UnaryCall(request, timeout=TIMEOUT_S, compression=grpc.Compression.Gzip))
    check(code == grpc.StatusCode.RESOURCE_EXHAUSTED, f"got {code}")


def oversized_metadata_fails_its_call_only(world):
    pb, _ = testing()
    stub = test_stub(world)
    code = code_of(lambda: stub.EmptyCall(pb.Empty(), metadata=[("x-big", "a" * 12000)], timeout=TIMEOUT_S))
    check(code == grpc.StatusCode.RESOURCE_EXHAUSTED, f"got {code}")
    stub.EmptyCall(pb.Empty(), timeout=TIMEOUT_S)


def concurrent_large_unary(world):
    pb, _ = testing()
    stub = test_stub(world)
    request = pb.SimpleRequest(response_size=314159, payload=zeros(pb, 271828))
    calls = [stub.UnaryCall.future(request, timeout=4 * TIMEOUT_S) for _ in range(world.n_calls)]  # the server takes 32 at once
    for call in calls:
        check(len(call.result().payload.body) == 314159, "answer")


def slow_reader_is_paced_not_lost(world):
    pb, _ = testing()
    request = pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=1 << 20)] * 24)
    n = 0
    with world.connect(world.cert, world.key, [("grpc.http2.lookahead_bytes", 65536)]) as channel:
        for answer in testing()[1].TestServiceStub(channel).StreamingOutputCall(request, timeout=TIMEOUT_S):
            n += len(answer.payload.body)
            time.sleep(0.01)
    check(n == 24 << 20, f"{n} bytes")


def iteration(stub):
    pb, _ = testing()
    began = time.monotonic()
    answer = stub.UnaryCall(pb.SimpleRequest(response_size=314159, payload=zeros(pb, 271828)), timeout=TIMEOUT_S)
    check(len(answer.payload.body) == 314159, "answer")
    check(time.monotonic() - began < 1, "an iteration over 1000 ms")


def rpc_soak(world):
    for _ in range(world.n_rpcs):
        iteration(test_stub(world))


def channel_soak(world):
    for _ in range(world.n_dials):
        with world.connect(world.cert, world.key, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            iteration(testing()[1].TestServiceStub(channel))


def pings_with_calls_open_are_tolerated(world):
    pb, _ = testing()
    options = [("grpc.keepalive_time_ms", 100), ("grpc.http2.max_pings_without_data", 0), ("grpc.keepalive_timeout_ms", 5000)]
    with world.connect(world.cert, world.key, options) as channel:
        request = pb.StreamingOutputCallRequest(
            response_parameters=[pb.ResponseParameters(size=10, interval_us=80000) for _ in range(12)])
        got = list(testing()[1].TestServiceStub(channel).StreamingOutputCall(request, timeout=TIMEOUT_S))
        check(len(got) == 12, f"{len(got)} answers")


def drain_finishes_running_calls(world):
    """Last: the server is told to go while a stream runs; the stream ends well and new connections are refused."""
    pb, _ = testing()
    request = pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=1000, interval_us=100000) for _ in range(10)])
    answers = test_stub(world).StreamingOutputCall(request, timeout=TIMEOUT_S)
    next(answers)
    os.kill(world.pid, signal.SIGTERM)
    check(len(list(answers)) == 9, "answers after SIGTERM")


INTEROP = [  # gRPC's own; matrix.py runs them
    empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream, timeout_on_sleeping_server,
    cancel_after_begin, cancel_after_first_response, status_code_and_message, special_status_message, custom_metadata,
    unimplemented_method, unimplemented_service, client_compressed_unary, client_compressed_streaming,
    server_compressed_unary, server_compressed_streaming, concurrent_large_unary, rpc_soak, channel_soak,
]
TESTING = [
    unknown_compression_is_unimplemented, message_at_and_over_the_limit, compressed_bomb_is_stopped,
    oversized_metadata_fails_its_call_only, slow_reader_is_paced_not_lost, pings_with_calls_open_are_tolerated,
]

SETS = {"common": COMMON, "interop": INTEROP, "testing": TESTING, "drain": [drain_finishes_running_calls]}


def run_case(case, world):
    """None when it passed, else why not. A case has its own thread, so that one that hangs cannot hold the run."""
    result = []

    def body():
        try:
            case(world)
            result.append(None)
        except Failure as failure:
            result.append(str(failure))
        except grpc.RpcError as error:
            result.append(f"{error.code()}: {error.details()}")
        except Exception:  # a broken case must be a line of the report, not the end of it
            result.append(traceback.format_exc(limit=3).strip().replace("\n", " | "))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(6 * TIMEOUT_S)
    return result[0] if result else "timed out"


def chosen(args):
    if args.cases is not None:
        return [next(c for c in INTEROP if c.__name__ == name) for name in args.cases.split(",")]
    return [case for name in args.set.split(",") for case in SETS[name]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--address", "--target", required=True, help="HOST:PORT, or unix:/PATH, which needs no files")
    parser.add_argument("--ca")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--protos", required=True, help="folders of .proto files, comma-separated")
    parser.add_argument("--set", default="common", help="of " + ",".join(SETS))
    parser.add_argument("--cases", help="of the set interop, in place of --set")
    parser.add_argument("--calls", type=int, default=50, help="of concurrent_large_unary")
    parser.add_argument("--rpcs", type=int, default=10, help="of rpc_soak")
    parser.add_argument("--dials", type=int, default=5, help="of channel_soak")
    parser.add_argument("--pid", type=int, default=0, help="the server's, for the set drain")
    args = parser.parse_args()
    stubs = generate(args.protos.split(","))
    world = World(args)
    failed = 0
    print(f"version grpcio {grpc.__version__} on Python {sys.version.split()[0]}")
    for case in chosen(args):
        why = run_case(case, world)
        failed += why is not None
        print(f"{'pass' if why is None else 'fail'} {case.__name__}{'' if why is None else ': ' + why}", flush=True)
    world.channel.close()
    shutil.rmtree(stubs, ignore_errors=True)
    os._exit(1 if failed else 0)  # a hung case's thread must not hold the process


if __name__ == "__main__":
    main()
