"""What the cases against a real agent share: its stubs, its callers, and how a refusal is read."""
import importlib
import pathlib
import sys

import grpc

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "tests/interop")]

import client  # noqa: E402
import harness  # noqa: E402
from client import Failure, TIMEOUT_S, check  # noqa: E402
from harness import RNG  # noqa: E402

PROTOS = [str(TOP / "proto"), str(TOP / "proto/external")]
OPERATOR = f"spiffe://{harness.DOMAIN}/operator/olga"
VIEWER = f"spiffe://{harness.DOMAIN}/viewer/vic"


def modules(suffix):
    """Every generated module of proto/: hawser.v1.*, health, reflection v1 and v1alpha, google.rpc."""
    out = []
    for root in PROTOS:
        for path in sorted(pathlib.Path(root).rglob("*.proto")):
            name = str(path.relative_to(root))
            if not name.startswith(("external/", "google/protobuf/")):
                out.append(importlib.import_module(name[:-len(".proto")].replace("/", ".") + suffix))
    return out


def services():
    """{full name: service descriptor} of everything that the agent serves."""
    return {s.full_name: s for m in modules("_pb2") for s in m.DESCRIPTOR.services_by_name.values()}


class CountingChannel:
    """A channel that notes each method when it has answered with a message."""

    def __init__(self, channel, answered):
        self.channel, self.answered = channel, answered

    def __getattr__(self, kind):
        make = getattr(self.channel, kind)
        if kind not in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            return make

        def multi_callable(path, request_serializer=None, response_deserializer=None, **more):
            def noted(data):
                self.answered.add(path)
                return response_deserializer(data) if response_deserializer else data

            return make(path, request_serializer=request_serializer, response_deserializer=noted, **more)

        return multi_callable


class AgentWorld(client.World):
    """The running agent, its certificates, and a stub of each service for the operator and the viewer."""

    def __init__(self, host, operator, viewer):
        self.host, self.adapters, self.pid = host, host.adapters, 0
        self.address = host.address
        self.answered = set()
        self.ca = pathlib.Path(operator["ca"]).read_bytes()
        self.operator, self.viewer = operator, viewer
        self.cert, self.key = pathlib.Path(operator["cert"]).read_bytes(), pathlib.Path(operator["key"]).read_bytes()
        self.channel = CountingChannel(self.connect(self.cert, self.key), self.answered)
        self.viewer_channel = self.connect(pathlib.Path(viewer["cert"]).read_bytes(), pathlib.Path(viewer["key"]).read_bytes())
        self.election = RNG.randrange(1, 1 << 60)
        for m in modules("_pb2"):
            if m.__name__.startswith("hawser."):
                vars(self).update({k: v for k, v in vars(m).items() if k[0].isupper() and k != "DESCRIPTOR"})

    def stub(self, service, channel=None):
        """The generated stub of hawser.v1.<service>."""
        name = service + "Stub"
        (cls,) = [getattr(m, name) for m in modules("_pb2_grpc") if hasattr(m, name)]
        return cls(channel or self.channel)

    def call(self, rpc, /, channel=None, timeout=TIMEOUT_S, **fields):
        """One unary call or server stream of the operator: call("DeviceService.Get", device=...)."""
        service, name = rpc.split(".")
        request = services()["hawser.v1." + service].methods_by_name[name].input_type._concrete_class
        return getattr(self.stub(service, channel), name)(request(**fields), timeout=timeout)

    def mutation(self, request_id=None):
        """A mutation with a new request id unless one is given, under this run's election."""
        return self.Mutation(
            fence=self.Fence(role="interop", election_high=self.election, election_low=1),
            request_id=request_id or f"interop-{RNG.randrange(1 << 40):010x}", reason="interop")


def error_of(call):
    """Runs call, which must fail; the grpc.RpcError."""
    try:
        got = call()
        list(got) if hasattr(got, "__next__") else None
    except grpc.RpcError as error:
        return error
    raise Failure("the call succeeds")


def details_of(error):
    """{message name: message} of the error's google.rpc.Status, which must agree with the error's code and text."""
    status_pb2 = importlib.import_module("google.rpc.status_pb2")
    details_pb2 = importlib.import_module("google.rpc.error_details_pb2")
    (blob,) = [v for k, v in error.trailing_metadata() if k == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(blob)
    check(status.code == error.code().value[0], f"status {status.code} and {error.code()}")
    check(status.message == error.details(), f'"{status.message}" and "{error.details()}"')
    out = {}
    for any_ in status.details:
        name = any_.type_url.rsplit(".", 1)[1]
        out[name] = getattr(details_pb2, name)()
        check(any_.Unpack(out[name]), any_.type_url)
    return out


def refused(call, code, *texts):
    """call fails with code and a text that has all of texts; its details."""
    error = error_of(call)
    check(error.code() == code, f"{error.code()}: {error.details()}")
    for text in texts:
        check(text in error.details(), f'no "{text}" in "{error.details()}"')
    return details_of(error)


def same(got, wanted, what=""):
    check(got == wanted, f"{what}: {got!r} instead of {wanted!r}")
