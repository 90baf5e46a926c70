"""The cases against a real agent, in the order they run; each is one line of the report."""
import hashlib
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import time

import grpc

import client
import harness
from agent_world import OPERATOR, VIEWER, check, error_of, modules, refused, same, services
from client import TIMEOUT_S, Pipe
from harness import RNG

SYNDROME = RNG.randrange(1, 1 << 24)
# Of the second adapter. What the agent reads for itself has none of these two registers.
FAULTS = {1: (f"register: MPCNT, repeat: 0, action: status, status: BAD_PARAM, syndrome: {SYNDROME:#x}",
              "register: MTMP, repeat: 0, action: delay, delay_ms: 3000")}
Code = grpc.StatusCode

# ---- DeviceService -----------------------------------------------------------------------------------------------


def same_device(world, device, adapter):
    same((device.id, device.serial, device.psid, device.part_number, device.pci_address, device.firmware_version),
         (adapter.id, adapter.serial, adapter.psid, adapter.part, adapter.pci, adapter.version), "identity")
    same((device.kind, device.state, device.emulated, [p.number for p in device.ports]),
         ("mlx5", world.DEVICE_STATE_READY, True, [1, 2]), adapter.id)


def all_ready(world):
    """The answer of List, once both identities are read."""
    def look():
        answer = world.call("DeviceService.List")
        return [d.state for d in answer.devices] == [world.DEVICE_STATE_READY] * 2 and answer

    return harness.until(look, "both adapters are ready", TIMEOUT_S)


def device_list_is_the_profiles(world):
    answer = all_ready(world)
    same(answer.host, world.host.name)
    for device, adapter in zip(answer.devices, world.adapters):
        same_device(world, device, adapter)


def device_get_by_id_address_and_serial(world):
    for adapter in world.adapters:
        for name in (adapter.id, adapter.pci, adapter.serial):
            same_device(world, world.call("DeviceService.Get", device=name).device, adapter)
    refused(lambda: world.call("DeviceService.Get", device="0000:01:00.0"), Code.NOT_FOUND, *[a.id for a in world.adapters])


def device_watch_begins_with_the_list(world):
    kind = world.WatchDevicesResponse
    watch = world.call("DeviceService.Watch")
    got = [next(watch) for _ in range(3)]
    same([m.kind for m in got], [kind.KIND_PRESENT, kind.KIND_PRESENT, kind.KIND_SYNCED])
    for message, adapter in zip(got, world.adapters):
        same_device(world, message.device, adapter)
    watch.cancel()
    same(watch.code(), Code.CANCELLED)


# ---- ConfigService -----------------------------------------------------------------------------------------------


def values(answer):
    return {v.name: (v.default_value, v.stored, v.next_boot, v.running, v.pending) for v in answer.values}


def plan_of(world, **settings):
    return world.call("ConfigService.Plan", device=world.adapters[0].id, settings=settings_of(world, settings))


def settings_of(world, settings):
    return [world.Setting(name=k, value=v) for k, v in settings.items()]


def config_parameters_and_values(world):
    device = world.adapters[0].id
    parameters = {p.name: p for p in world.call("ConfigService.ListParameters", device=device).parameters}
    vfs, link = parameters["NUM_OF_VFS"], parameters["LINK_TYPE_P1"]
    same((vfs.type, vfs.min, vfs.max, vfs.supported), (world.PARAMETER_TYPE_UNSIGNED, 0, 127, True))
    same((link.type, {"IB", "ETH"} <= {v.name for v in link.values}), (world.PARAMETER_TYPE_ENUM, True))
    everything = world.call("ConfigService.Get", device=device)
    same(set(values(everything)), {p.name for p in parameters.values() if p.supported}, "values")
    some = world.call("ConfigService.Get", device=device, names=["NUM_OF_VFS", "SRIOV_EN"])
    same(values(some), {"NUM_OF_VFS": ("0", "0", "0", "0", False), "SRIOV_EN": ("False",) * 4 + (False,)})
    same(some.revision, everything.revision)


def config_plan_apply_repeat_reset(world):
    device = world.adapters[0].id
    vfs = str(RNG.randrange(1, 127))
    before = world.call("ConfigService.Get", device=device)
    plan = plan_of(world, NUM_OF_VFS=vfs, SRIOV_EN="1")
    same([(c.name, c.next_boot, c.wanted, c.changes, c.reset) for c in plan.changes],
         [("NUM_OF_VFS", "0", vfs, True, world.RESET_LEVEL_FIRMWARE), ("SRIOV_EN", "False", "True", True, world.RESET_LEVEL_FIRMWARE)])
    same((plan.revision, plan.n_writes), (before.revision, 1))
    apply = {"device": device, "settings": settings_of(world, {"NUM_OF_VFS": vfs, "SRIOV_EN": "1"}),
             "plan_hash": plan.plan_hash, "expected_revision": plan.revision, "mutation": world.mutation()}
    first = world.call("ConfigService.Apply", **apply)
    same(values(first), {"NUM_OF_VFS": ("0", vfs, vfs, "0", True), "SRIOV_EN": ("False", "True", "True", "False", True)})
    same((first.repeated_request, first.reset), (False, world.RESET_LEVEL_FIRMWARE))
    again = world.call("ConfigService.Apply", **apply)
    check(again.repeated_request, "the second answer is no repetition")
    again.repeated_request = False
    same(again, first)
    other = dict(apply, settings=settings_of(world, {"NUM_OF_VFS": "3"}))
    refused(lambda: world.call("ConfigService.Apply", **other), Code.ALREADY_EXISTS)
    late = dict(apply, mutation=world.mutation())
    refused(lambda: world.call("ConfigService.Apply", **late), Code.ABORTED)
    reset = {"device": device, "names": ["NUM_OF_VFS", "SRIOV_EN"], "mutation": world.mutation()}
    back = world.call("ConfigService.Reset", **reset)
    same([values(back), back.revision, back.repeated_request], [values(world.call("ConfigService.Get", device=device, names=reset["names"])), before.revision, False])
    check(world.call("ConfigService.Reset", **reset).repeated_request, "the second reset is no repetition")
    same(values(world.call("ConfigService.Get", device=device)), values(before))


def config_change_needs_the_newest_fence(world):
    plan = plan_of(world, NUM_OF_VFS="5")
    apply = {"device": world.adapters[0].id, "settings": settings_of(world, {"NUM_OF_VFS": "5"}), "plan_hash": plan.plan_hash}
    check("mutation" in error_of(lambda: world.call("ConfigService.Apply", **apply)).details(), "no mutation")
    stale = world.mutation()
    stale.fence.election_high -= 1
    refused(lambda: world.call("ConfigService.Apply", mutation=stale, **apply), Code.PERMISSION_DENIED, "fence", str(world.election))
    same(plan_of(world, NUM_OF_VFS="5").changes[0].next_boot, "0")


# ---- CommandService ----------------------------------------------------------------------------------------------


def register(world, adapter, name, **more):
    return world.ExecuteRequest(device=adapter.id, register=world.RegisterAccess(register=name), **more)


def raw(world, adapter, name, **more):
    return world.ExecuteRequest(device=adapter.id, raw=world.RawCommand(command=name, **more))


def execute(world, request, timeout=TIMEOUT_S):
    return world.stub("CommandService").Execute(request, timeout=timeout)


def check_mgir(world, answer, adapter):
    fields = {f.name: f.value for f in answer.fields}
    same((fields["fw_info.psid"], [int(fields["fw_info.extended_" + k], 0) for k in ("major", "minor", "sub_minor")]),
         (adapter.psid, list(adapter.firmware)), "MGIR")
    mac = int(fields["hw_info.manufacturing_base_mac_47_32"], 0) << 32 | int(fields["hw_info.manufacturing_base_mac_31_0"], 0)
    same(mac, int.from_bytes(adapter.mac, "big"), "MAC")
    same((answer.status.stage, answer.status.status, answer.name), (world.STAGE_EXECUTED, 0, "ACCESS_REG MGIR read"))


def command_register_by_fields(world):
    for adapter in world.adapters:
        check_mgir(world, execute(world, register(world, adapter, "MGIR")), adapter)
        check_mgir(world, execute(world, register(world, adapter, "0x9020")), adapter)
    port = world.ExecuteRequest(device=world.adapters[0].id, register=world.RegisterAccess(
        register="PTYS", fields=[world.FieldValue(name="local_port", value="2"), world.FieldValue(name="proto_mask", value="4")]))
    same({f.name: f.value for f in execute(world, port).fields}["local_port"], "2")


def command_raw(world):
    for adapter in world.adapters:
        answers = [execute(world, raw(world, adapter, "QUERY_ADAPTER")), execute(world, raw(world, adapter, "0x101")),
                   execute(world, raw(world, adapter, "QUERY_ADAPTER", inbox=bytes.fromhex("0101") + bytes(14)))]
        same(answers[1:], answers[:1] * 2)
        check(adapter.psid.encode() in answers[0].outbox, "no PSID in the outbox")
        same((answers[0].outbox[0], answers[0].effect), (0, world.call("CommandService.Describe", name="QUERY_ADAPTER").rows[0].effect))


def command_refused_by_firmware_is_an_answer(world):
    status = execute(world, register(world, world.adapters[1], "MPCNT")).status
    same((status.stage, status.status_name, status.syndrome), (world.STAGE_EXECUTED, "BAD_PARAM", SYNDROME))


def command_stream_goes_on_after_a_failure(world):
    a, b = world.adapters
    requests = {}
    for n in range(40):
        requests[RNG.randrange(1 << 64)] = register(world, (a, b)[n % 2], "MGIR")
    tags = list(requests)
    refused_tag, denied_tag, unnamed_tag = tags[10], tags[20], tags[30]
    requests[refused_tag] = register(world, b, "MPCNT")
    requests[denied_tag] = world.ExecuteRequest(
        device=a.id, register=world.RegisterAccess(register="MFRL", write=True, data=bytes(8)), mutation=world.mutation())
    requests[unnamed_tag] = register(world, a, "NO_SUCH")
    got = {}
    stream = world.stub("CommandService").ExecuteStream(
        (world.ExecuteStreamRequest(tag=t, request=r) for t, r in requests.items()), timeout=TIMEOUT_S)
    for answer in stream:
        check(answer.tag not in got, "a tag is answered twice")
        got[answer.tag] = answer
    same(stream.code(), Code.OK)
    same(set(got), set(tags), "tags")
    same(got.pop(refused_tag).response.status.syndrome, SYNDROME)
    denied, unnamed = got.pop(denied_tag), got.pop(unnamed_tag)
    same(denied.code, Code.PERMISSION_DENIED.value[0], denied.message)
    check("NO_SUCH" in unnamed.message and unnamed.code != 0, str(unnamed))
    for tag, answer in got.items():
        same(answer.code, 0, answer.message)
        check_mgir(world, answer.response, a if requests[tag].device == a.id else b)


def command_stream_answers_before_it_is_closed(world):
    pipe = Pipe()
    stream = world.stub("CommandService").ExecuteStream(pipe, timeout=TIMEOUT_S)
    for tag in range(5):
        pipe.put(world.ExecuteStreamRequest(tag=tag, request=register(world, world.adapters[0], "MGIR")))
        same(next(stream).tag, tag)
    pipe.close()
    same(list(stream), [])


def command_describe(world):
    everything = world.call("CommandService.Describe").rows
    (mgir,) = world.call("CommandService.Describe", name="MGIR").rows
    same((mgir.register_id, mgir.method, mgir.effect, "fw_info.psid" in mgir.fields), (0x9020, "read", world.EFFECT_READ, True))
    check(mgir in everything and len(everything) > 20, f"{len(everything)} rows")
    refused(lambda: world.call("CommandService.Describe", name="NO_SUCH"), Code.NOT_FOUND, "NO_SUCH")


# ---- DumpService -------------------------------------------------------------------------------------------------


def crc32c(data):
    """CRC-32C (Castagnoli, reflected 0x82F63B78), a bit at a time over a table of one byte."""
    table = crc32c.__dict__.setdefault("table", [])
    for n in range(0 if table else 256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def pull(world, adapter, **resume):
    """One whole pull: manifest, the bytes from the offset on, each chunk checked, end."""
    same(crc32c(b"123456789"), 0xE3069283, "the test's own CRC")
    messages = list(world.call("DumpService.Pull", device=adapter.id, source="registers", **resume))
    same([m.WhichOneof("what") for m in messages], ["manifest"] + ["chunk"] * (len(messages) - 2) + ["end"])
    data, offset = b"", resume.get("offset", 0)
    for chunk in (m.chunk for m in messages[1:-1]):
        same((chunk.offset, chunk.crc32c), (offset + len(data), crc32c(chunk.data)), "chunk")
        data += chunk.data
    return messages[0].manifest, data, messages[-1].end


def dump_pull_and_resume(world):
    adapter = world.adapters[0]
    (source,) = world.call("DumpService.ListSources", device=adapter.id).sources
    same((source.name, source.estimated_bytes > 0), ("registers", True))
    manifest, data, end = pull(world, adapter)
    digest = hashlib.sha256(data).hexdigest()
    same((manifest.sha256, manifest.total_bytes), (digest, len(data)), "manifest")
    same((end.sha256, end.total_bytes), (digest, len(data)), "end")
    same((manifest.device_id, manifest.firmware_version, manifest.source), (adapter.id, adapter.version, "registers"))
    (mgir,) = [x for x in map(json.loads, data.splitlines()) if x.get("register") == "MGIR"]
    check({"name": "fw_info.psid", "value": adapter.psid} in mgir["fields"], "the dump is of another adapter")
    # All whole chunks are held already, then none is.
    for offset in {len(data) // manifest.chunk_bytes * manifest.chunk_bytes, 0}:
        again, rest, _ = pull(world, adapter, dump_id=manifest.dump_id, offset=offset)
        same((again, rest), (manifest, data[offset:]), f"resume at {offset}")
    refused(lambda: world.call("DumpService.Pull", device=adapter.id, source="registers", dump_id=manifest.dump_id, offset=1),
            Code.INVALID_ARGUMENT, "offset")
    refused(lambda: world.call("DumpService.Pull", device=adapter.id, source="none"), Code.NOT_FOUND, "registers")


# ---- AgentService ------------------------------------------------------------------------------------------------


def agent_info(world):
    info = world.call("AgentService.Info")
    same((info.host, info.state), (world.host.name, "serving"))
    same((info.policy_source, info.policy_trial_left_ms), ("file", 0))
    same(info.policy_hash, hashlib.sha256(pathlib.Path(world.host.policy).read_bytes()).hexdigest())
    pids = world.host.pids()
    same({p.name: (p.connected, p.pid in pids.get(p.name, [])) for p in info.processes},
         {n: (True, True) for n in ("hawserd", "hawser-wire", "hawser-emu")})


def agent_whoami(world):
    me = world.call("AgentService.WhoAmI")
    same((me.principal, me.peer.rsplit(":", 1)[0]), (OPERATOR, "127.0.0.1"))
    check("operators-configure" in me.rules and "viewers-observe" not in me.rules, str(me.rules))
    serial = ssl._ssl._test_decode_cert(world.operator["cert"])["serialNumber"]
    same(int(me.cert_serial.replace(":", ""), 16), int(serial, 16), "serial")
    same(world.call("AgentService.WhoAmI", channel=world.viewer_channel).principal, VIEWER)


def agent_probe(world):
    what = {"method": "/hawser.v1.ConfigService/Apply", "effect": world.EFFECT_CONFIG_NEXT_RESET, "device": world.adapters[0].id}
    yes = world.call("AgentService.Probe", principal=OPERATOR, **what)
    no = world.call("AgentService.Probe", principal=VIEWER, **what)
    same((yes.allowed, yes.rule, no.allowed), (True, "operators-configure", False))


def agent_reload(world):
    policy = pathlib.Path(world.host.policy)
    was = policy.read_bytes()
    mutation = world.mutation()
    policy.write_bytes(was + b"  - {name: added, principals: [\"" + OPERATOR.encode() + b"\"], methods: [observe], max_effect: read}\n")
    wanted = hashlib.sha256(policy.read_bytes()).hexdigest()
    got = world.call("AgentService.Reload", mutation=mutation)
    same((got.policy_hash, got.policy_source, got.trial_left_ms, got.repeated_request), (wanted, "file", 0, False))
    check(int(got.certificate_serial, 16) > 0 and got.certificate_ends_s > time.time(), f"the certificate in use: {got}")
    got.repeated_request = True
    same(world.call("AgentService.Reload", mutation=mutation), got)
    check("added" in world.call("AgentService.WhoAmI").rules, "the new rule is not in force")
    policy.write_bytes(was + b"unknown: key\n")
    n_lines = was.count(b"\n") + 1
    refused(lambda: world.call("AgentService.Reload", mutation=world.mutation()), Code.INVALID_ARGUMENT, f":{n_lines}:", "unknown")
    same(world.call("AgentService.Info").policy_hash, wanted, "a bad file is in force")
    policy.write_bytes(was)
    world.call("AgentService.Reload", mutation=world.mutation())
    agent_info(world)


def agent_finalize(world):
    was = world.call("AgentService.Info").policy_hash
    pushed = pathlib.Path(world.host.policy).read_bytes() + b"# pushed\n"
    tried = world.call("AgentService.Reload", mutation=world.mutation(), policy=pushed, trial_ms=600000)
    same((tried.policy_hash, tried.policy_source), (hashlib.sha256(pushed).hexdigest(), "kept"))
    check(0 < tried.trial_left_ms <= 600000, str(tried))
    refused(lambda: world.call("AgentService.Finalize", mutation=world.mutation()), Code.INVALID_ARGUMENT, "policy_hash")
    refused(lambda: world.call("AgentService.Finalize", mutation=world.mutation(), policy_hash=was), Code.ABORTED, tried.policy_hash)
    same(world.call("AgentService.Finalize", mutation=world.mutation(), roll_back=True), world.FinalizeResponse(policy_hash=was))
    refused(lambda: world.call("AgentService.Finalize", mutation=world.mutation(), roll_back=True), Code.FAILED_PRECONDITION, "no policy")
    agent_info(world)


# ---- LockService, KillService ------------------------------------------------------------------------------------


def locks_are_kept_listed_and_removed(world):
    adapter = world.adapters[0]
    refused(lambda: world.call("LockService.Add", mutation=world.mutation(), kind=world.LOCK_KIND_HOST, for_s=60), Code.INVALID_ARGUMENT, "reason")
    lock = world.call("LockService.Add", mutation=world.mutation(), kind=world.LOCK_KIND_DEVICE, object=adapter.pci, for_s=600, reason="interop").lock
    same((lock.object, lock.who, lock.reason, lock.until_unix_ms - lock.since_unix_ms), (adapter.id, OPERATOR, "interop", 600000))
    same(list(world.call("LockService.List").locks), [lock])
    refused(lambda: world.call("ConfigService.Get", channel=world.viewer_channel, device=adapter.id), Code.PERMISSION_DENIED, f"lock {lock.id} on device", "interop")
    world.call("ConfigService.Get", device=adapter.id)
    world.call("LockService.Remove", mutation=world.mutation(), id=lock.id)
    world.call("ConfigService.Get", channel=world.viewer_channel, device=adapter.id)
    same(len(world.call("LockService.List").locks), 0)


def kills_are_kept_listed_and_removed(world):
    adapter = world.adapters[0]
    kill = world.call("KillService.Add", mutation=world.mutation(), row="MTCAP:read", object="pci:" + adapter.pci, firmware_to="99.0.0", for_s=600, reason="interop").kill
    same((kill.row, kill.object, kill.who), ("MTCAP:read", "pci:" + adapter.pci, OPERATOR))
    same(list(world.call("KillService.List").kills), [kill])
    access = world.RegisterAccess(register="MTCAP")
    refused(lambda: world.call("CommandService.Execute", device=adapter.id, register=access), Code.PERMISSION_DENIED, f"kill {kill.id} of MTCAP:read")
    world.call("CommandService.Execute", device=world.adapters[1].id, register=access)
    world.call("KillService.Remove", mutation=world.mutation(), id=kill.id)
    world.call("CommandService.Execute", device=adapter.id, register=access)
    same(len(world.call("KillService.List").kills), 0)


# ---- AuditService ------------------------------------------------------------------------------------------------


def signing_key(world, name):
    """A new signing key, by openssl: (its file, the compressed point in hex)."""
    path = os.path.join(world.host.dir, name)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path, openssl("ec", "-in", path, "-pubout", "-conv_form", "compressed", "-outform", "DER")[-33:].hex()


def openssl(*arguments, text=b""):
    return subprocess.run(["openssl", *arguments], input=text, check=True, capture_output=True, timeout=60).stdout


def signature(key, part, request, principal):
    """Of a warrant's first ten lines, as the format says: r and s in hex."""
    text = f"hawser-warrant-1 {part}\n{hashlib.sha256(request.encode()).hexdigest()}\n{principal}\n"
    der = openssl("dgst", "-sha256", "-sign", key, text=text.encode())
    r_n = der[3]
    numbers = der[4:4 + r_n], der[6 + r_n:]
    return "".join(n[-32:].rjust(32, b"\0").hex() for n in numbers)


def approval_by_two_persons(world):
    """A warrant made and signed without any code of this project; the operator approves what the viewer wants."""
    viewer_key, viewer_public = signing_key(world, "viewer-sign.key")
    operator_key, operator_public = signing_key(world, "operator-sign.key")
    policy = pathlib.Path(world.host.policy)
    was = policy.read_bytes()
    policy.write_bytes(was[:was.index(b"  # Writing debug state")] + (
        f'  - {{name: two-persons, principals: ["{OPERATOR}", "{VIEWER}"], methods: [debug, approve], max_effect: full}}\n').encode())
    world.host.trust([(VIEWER, viewer_public), (OPERATOR, operator_public)])
    world.call("AgentService.Reload", mutation=world.mutation())
    a, now = world.adapters[0], int(time.time())
    row = world.call("CommandService.Describe", name="MTRC_CTRL").rows
    same({r.effect for r in row}, {world.EFFECT_READ_SENSITIVE, world.EFFECT_DEBUG_WRITE})
    mutation = world.mutation()
    granted = world.call("ApprovalService.Grant", principal=VIEWER, device=a.id, effect=world.EFFECT_DEBUG_WRITE,
                         targets=["MTRC_CTRL:write"], seconds=600, mutation=mutation)
    check(granted.grant.granted_by == OPERATOR and granted.grant.until_unix_s - granted.grant.from_unix_s == 600, str(granted))
    refused(lambda: world.call("ApprovalService.Grant", principal=OPERATOR, device=a.id, effect=world.EFFECT_FULL, seconds=60,
                               mutation=world.mutation()), Code.INVALID_ARGUMENT, "nobody grants to himself")
    same([g.id for g in world.call("ApprovalService.ListGrants").grants], [granted.grant.id])
    inbox = bytes.fromhex("0805") + bytes(8) + bytes.fromhex("9043") + bytes(4 + 64)
    execute_id = world.mutation().request_id

    def warrant(principal, key, request_id):
        text = (f"hawser-warrant-1\nhost: {world.host.name}\ndevice: {a.pci}\nserial: {a.serial}\n"
                f"inbox: {len(inbox)} {hashlib.sha256(inbox).hexdigest()}\nrequest: {request_id}\nfrom: {now - 60}\nuntil: {now + 900}\n"
                f"operator: {principal}\nreason: interop\n")
        return text, text + f"operator-signature: {signature(key, 'operator', text, principal)}\n"

    _, own = warrant(OPERATOR, operator_key, world.mutation().request_id)
    world.call("ApprovalService.Request", warrant=own, inbox=inbox, mutation=world.mutation())
    request, text = warrant(VIEWER, viewer_key, execute_id)
    wanted = hashlib.sha256(request.encode()).hexdigest()
    viewer = {"channel": world.viewer_channel}
    same(world.call("ApprovalService.Request", warrant=text, inbox=inbox, mutation=world.mutation(), **viewer).hash, wanted)
    refused(lambda: world.call("ApprovalService.Request", warrant=text, inbox=inbox[:-1] + b"x", mutation=world.mutation(), **viewer),
            Code.PERMISSION_DENIED, "hash mismatch")
    execute = {"device": a.id, "register": world.RegisterAccess(register="MTRC_CTRL", write=True, data=inbox[16:]), "approval": wanted}
    once = world.Mutation(fence=world.mutation().fence, request_id=execute_id)
    self_signed = text + f"approver: {VIEWER}\napprover-signature: {signature(viewer_key, 'approver', request, VIEWER)}\n"
    refused(lambda: world.call("ApprovalService.Sign", hash=wanted, warrant=self_signed, mutation=world.mutation(), **viewer),
            Code.PERMISSION_DENIED, "same principal")
    both = text + f"approver: {OPERATOR}\napprover-signature: {signature(operator_key, 'approver', request, OPERATOR)}\n"
    world.call("ApprovalService.Sign", hash=wanted, warrant=both, mutation=world.mutation())
    kept = {w.hash: w for w in world.call("ApprovalService.List").approvals}
    same((kept[wanted].warrant, kept[wanted].inbox, kept[wanted].used, len(kept)), (both, inbox, False, 2))
    answer = world.call("CommandService.Execute", mutation=once, **execute, **viewer)
    same((answer.status.stage, answer.effect, answer.repeated_request), (world.STAGE_EXECUTED, world.EFFECT_DEBUG_WRITE, False))
    check(world.call("CommandService.Execute", mutation=once, **execute, **viewer).repeated_request, "the same again is not the first answer")
    refused(lambda: world.call("CommandService.Execute", mutation=world.mutation(), **execute, **viewer),
            Code.PERMISSION_DENIED, "request_id")
    check({w.hash: w for w in world.call("ApprovalService.List").approvals}[wanted].used, "it is not used")
    world.call("ApprovalService.Revoke", id=granted.grant.id, mutation=world.mutation())
    same(len(world.call("ApprovalService.ListGrants").grants), 0)
    policy.write_bytes(was)
    world.call("AgentService.Reload", mutation=world.mutation())


def audit_tail_last_is_a_chain(world):
    records = [m.record for m in world.call("AuditService.Tail", last=20)]
    same([r.seq for r in records], list(range(records[0].seq, records[0].seq + 20)))
    for before, record in zip(records, records[1:]):
        same(record.prev_hash, before.hash, f"record {record.seq}")
    after = [m.record for m in world.call("AuditService.Tail", after_seq=records[9].seq)]
    same(after[:10], records[10:])
    refused(lambda: world.call("AuditService.Tail", last=10001), Code.INVALID_ARGUMENT, "last")


def audit_checkpoint_names_the_newest_record(world):
    newest = [m.record for m in world.call("AuditService.Tail", last=1)][-1]
    answer = world.call("AuditService.Checkpoint", at_seq=newest.seq)
    check(answer.checkpoint.seq >= newest.seq, f"checkpoint {answer.checkpoint.seq}, record {newest.seq}")
    same((answer.at_hash, answer.checkpoint.key, len(answer.checkpoint.signature)), (newest.hash, answer.keys[-1].key, 64))
    same(world.call("AuditService.Checkpoint", at_seq=2**63).at_hash, b"")


def audit_tail_follows(world):
    """The records of a change arrive on a stream that was open before it."""
    stream = world.call("AuditService.Tail", last=1, follow=True)
    next(stream)
    mutation = world.mutation()
    world.call("ConfigService.Reset", device=world.adapters[0].id, names=["NUM_OF_VFS"], mutation=mutation)
    mine = []
    for message in stream:
        if message.record.request_id == mutation.request_id:
            mine.append(message.record)
        if len(mine) == 2:
            break
    stream.cancel()
    intent, outcome = mine
    same((intent.phase, outcome.phase, outcome.intent_seq, outcome.code), (world.AUDIT_PHASE_INTENT, world.AUDIT_PHASE_OUTCOME, intent.seq, "OK"))
    same((intent.principal, intent.device, intent.method, intent.rule),
         (OPERATOR, world.adapters[0].id, "/hawser.v1.ConfigService/Reset", "operators-configure"))


# ---- refusals, deadlines, callers --------------------------------------------------------------------------------


def invalid_argument_names_the_field(world):
    device = world.adapters[0].id
    settings = settings_of(world, {"SRIOV_EN": "1", "NUM_OF_VFS": "many"})
    for call, field in (
            (lambda: world.call("ConfigService.Plan", device=device, settings=settings), "settings[1].value"),
            (lambda: world.call("ConfigService.Plan", device=device), "settings"),
            (lambda: execute(world, world.ExecuteRequest(device=device)), "what"),
            (lambda: world.call("AgentService.Probe", principal=OPERATOR, method="/no/Such", effect=1), "method")):
        details = refused(call, Code.INVALID_ARGUMENT)
        same((details["ErrorInfo"].reason, details["ErrorInfo"].domain != ""), ("E_INVALID", True), field)
        (violation,) = details["BadRequest"].field_violations
        same((violation.field, violation.description != ""), (field, True))


def viewer_is_denied_by_a_named_rule(world):
    stub = world.stub("CommandService", world.viewer_channel)
    request = raw(world, world.adapters[0], "QUERY_ADAPTER")
    for call in (lambda: stub.Execute(request, timeout=TIMEOUT_S),
                 lambda: world.call("AuditService.Tail", channel=world.viewer_channel, last=1)):
        same(refused(call, Code.PERMISSION_DENIED, VIEWER, "viewers-observe")["ErrorInfo"].reason, "E_DENIED")
    denied = [m.record for m in world.call("AuditService.Tail", last=10) if m.record.phase == world.AUDIT_PHASE_DENIED]
    same([(r.principal, r.code) for r in denied[-2:]], [(VIEWER, "PERMISSION_DENIED")] * 2)


def deadline_ends_a_slow_command(world):
    began = time.monotonic()
    error = error_of(lambda: execute(world, register(world, world.adapters[1], "MTMP"), timeout=0.3))
    same(error.code(), Code.DEADLINE_EXCEEDED)
    check(time.monotonic() - began < 3, "it waited for the card")
    # The limit of the request, which only the agent knows of.
    all_ready(world)
    refused(lambda: execute(world, register(world, world.adapters[1], "MTMP", timeout_ms=300)), Code.DEADLINE_EXCEEDED)
    # A command that has not returned keeps its adapter from others until it has.
    same(world.call("DeviceService.Get", device=world.adapters[1].id).device.state, world.DEVICE_STATE_STUCK)
    all_ready(world)


def cancelled_call_ends_at_the_agent(world):
    """Cancelled calls, followed or on the card, are ended there: the agent's counters say so, and nothing stays open."""
    before = counters(world)
    streams = [world.call("AuditService.Tail", last=1, follow=True) for _ in range(12)]
    for stream in streams:
        next(stream)
    command = world.stub("CommandService").Execute.future(register(world, world.adapters[1], "MTMP"), timeout=TIMEOUT_S)
    for call in streams + [command]:
        call.cancel()
        same(call.code(), Code.CANCELLED)

    def ended():
        now = counters(world)
        n_cancelled = now["wire.calls_cancelled"] - before["wire.calls_cancelled"]
        return n_cancelled >= len(streams) and now["wire.calls_started"] - now["wire.calls_ended"] <= 1

    harness.until(ended, "the calls have ended", TIMEOUT_S)
    same_device(world, all_ready(world).devices[1], world.adapters[1])


def counters(world):
    return {c.name: c.value for c in world.call("AgentService.Info").counters}


def local_socket_is_the_same_agent(world):
    with grpc.insecure_channel(f"unix:{world.host.run_dir}/wire/hawser.sock") as channel:
        me = world.call("AgentService.WhoAmI", channel=channel)
        uid = os.getuid()
        same(me.principal, f"spiffe://{harness.DOMAIN}/operator/root" if uid == 0 else f"unix:uid:{uid}")


# ---- health and reflection ---------------------------------------------------------------------------------------


def health_serves_once_the_agent_is_up(world):
    """First: the address is known before hawserd is reached, and until then the answer is NOT_SERVING."""
    pb, rpc = client.health_modules()
    for answer in rpc.HealthStub(world.channel).Watch(pb.HealthCheckRequest(service="hawser.v1.DeviceService"), timeout=TIMEOUT_S):
        if answer.status == pb.HealthCheckResponse.SERVING:
            return
        same(answer.status, pb.HealthCheckResponse.NOT_SERVING)


def health_lists_every_service(world):
    pb, rpc = client.health_modules()
    stub = rpc.HealthStub(world.channel)
    statuses = stub.List(pb.HealthListRequest(), timeout=TIMEOUT_S).statuses
    for name in [""] + [s for s in services() if s.startswith("hawser.")]:
        same((statuses[name].status, stub.Check(pb.HealthCheckRequest(service=name), timeout=TIMEOUT_S).status),
             (pb.HealthCheckResponse.SERVING,) * 2, name)


def reflect_files(world, version, **request):
    """{name: descriptor} of an answer with files."""
    from google.protobuf import descriptor_pb2

    (answer,) = client.reflect(world, version, [request])
    check(answer.WhichOneof("message_response") == "file_descriptor_response", f"{request}: {answer}")
    files = [descriptor_pb2.FileDescriptorProto.FromString(b) for b in answer.file_descriptor_response.file_descriptor_proto]
    return {f.name: f for f in files}


def reflection_is_the_local_protos(world, version):
    from google.protobuf import descriptor_pb2

    (listed,) = client.reflect(world, version, [{"list_services": ""}])
    same({s.name for s in listed.list_services_response.service}, set(services()))
    for name in services():
        served = reflect_files(world, version, file_containing_symbol=name)
        for path in list(served):
            served.update(reflect_files(world, version, file_by_filename=path))
        check(all(d in served for f in served.values() for d in f.dependency), f"{name}: a dependency is not served")
    for module in modules("_pb2"):
        local = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(local)
        if not module.DESCRIPTOR.services_by_name and not local.name.startswith("hawser/"):
            continue
        served = reflect_files(world, version, file_by_filename=local.name)[local.name]
        for file in (served, local):
            for field in (f for m in all_messages(file) for f in m.field):
                field.ClearField("json_name")  # derived; protoc writes it, the runtime does not
        same(served, local, local.name)
        symbols = [m.full_name for m in module.DESCRIPTOR.message_types_by_name.values()] + [
            m.full_name for s in module.DESCRIPTOR.services_by_name.values() for m in s.methods]
        answers = client.reflect(world, version, [{"file_containing_symbol": s} for s in symbols])
        check(all(a.WhichOneof("message_response") == "file_descriptor_response" for a in answers), local.name)


def all_messages(holder):
    for message in holder.message_type if hasattr(holder, "message_type") else holder.nested_type:
        yield message
        yield from all_messages(message)


def reflection_v1_is_the_local_protos(world):
    reflection_is_the_local_protos(world, "v1")


def reflection_v1alpha_is_the_local_protos(world):
    reflection_is_the_local_protos(world, "v1alpha")


# ---- last: a power cycle, and judgement --------------------------------------------------------------------------


def device_watch_sees_the_cards_go_and_come(world):
    """The device process is killed, which is a power cycle of the cards: what was stored runs then."""
    plan = plan_of(world, NUM_OF_VFS="17")
    world.call("ConfigService.Apply", device=world.adapters[0].id, settings=settings_of(world, {"NUM_OF_VFS": "17"}),
               plan_hash=plan.plan_hash, mutation=world.mutation())
    watch = world.call("DeviceService.Watch")
    while next(watch).kind != world.WatchDevicesResponse.KIND_SYNCED:
        pass
    (pid,) = [p.pid for p in world.call("AgentService.Info").processes if p.name == "hawser-emu"]
    os.kill(pid, signal.SIGKILL)
    seen = {a.pci: set() for a in world.adapters}  # a card that has not said its serial number yet has another id
    for message in watch:
        seen[message.device.pci_address].add(message.device.state)
        if all({world.DEVICE_STATE_GONE, world.DEVICE_STATE_READY} <= s for s in seen.values()):
            break
    watch.cancel()
    for device, adapter in zip(all_ready(world).devices, world.adapters):
        same_device(world, device, adapter)
    same(values(world.call("ConfigService.Get", device=world.adapters[0].id, names=["NUM_OF_VFS"])),
         {"NUM_OF_VFS": ("0", "17", "17", "17", False)})


def ended_processes_are_reaped(world):
    """After the case above: the killed process is in the log with its signal, and no zombie is left of it."""
    harness.until(lambda: re.search(r"process_ended name=hawser-emu pid=\d+ status=0 signal=9", world.host.log_text()), "it is logged", TIMEOUT_S)
    names, parents = [], [str(pid) for pid in world.host.keeper()]
    while parents:
        parent = parents.pop()
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        names += [pathlib.Path(f"/proc/{c}/comm").read_text().strip() for c in children]
        parents += children
    same(sorted(n for n in names if n != "hawserd-spawner"), ["hawser-emu", "hawser-wire"])


def every_method_has_answered(world):
    methods = {f"/{s.full_name}/{m.name}" for s in services().values() for m in s.methods}
    check(len(methods) >= 18, f"{len(methods)} methods")
    same(methods - world.answered, set(), "never answered")


CASES = [
    health_serves_once_the_agent_is_up,
    device_list_is_the_profiles, device_get_by_id_address_and_serial, device_watch_begins_with_the_list,
    config_parameters_and_values, config_plan_apply_repeat_reset, config_change_needs_the_newest_fence,
    command_register_by_fields, command_raw, command_refused_by_firmware_is_an_answer, command_stream_goes_on_after_a_failure,
    command_stream_answers_before_it_is_closed, command_describe, dump_pull_and_resume, agent_info, agent_whoami, agent_probe, agent_finalize,
    locks_are_kept_listed_and_removed, kills_are_kept_listed_and_removed,
    agent_reload, approval_by_two_persons, audit_tail_last_is_a_chain,
    audit_checkpoint_names_the_newest_record, audit_tail_follows, invalid_argument_names_the_field,
    viewer_is_denied_by_a_named_rule, deadline_ends_a_slow_command, cancelled_call_ends_at_the_agent,
    local_socket_is_the_same_agent, health_lists_every_service, reflection_v1_is_the_local_protos,
    reflection_v1alpha_is_the_local_protos,
] + client.COMMON + [device_watch_sees_the_cards_go_and_come, ended_processes_are_reaped, every_method_has_answered]
