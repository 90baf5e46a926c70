"""Every register of the list, as the vendor's mstreg shows it and as our agent decodes it; both ports in mstlink."""
import json
import re

import bed
import vendor

PORTS = (1, 2)
PPCNT_GROUPS = (0x0, 0x1, 0x2, 0x3, 0x5, 0x6, 0x10, 0x11, 0x12, 0x16, 0x20)
PDDR_PAGES = (0, 1, 2, 3)
# (register, its index fields that are not 0): what mstreg shows and our agent reads.
WALK = (
    [(r, {}) for r in ("MGIR", "MSGI", "MNVGC", "MFRL", "MTCAP", "PCAM", "QCAM", "MCQI", "MCC", "MPEIN", "MPCNT",
                       "HOST_ENDIANNESS", "MNVGN", "MROQ", "MRSI", "MPIR", "MTRC_CAP", "MTRC_CONF", "MTRC_CTRL", "DTOR")]
    + [("MTRC_STDB", {"read_size": 4})]
    + [("MTMP", {"sensor_index": s}) for s in (0, 64, 65)]
    + [("MNVQC", {"type": t}) for t in (0x80, 0x81, 0x1010012)]
    + [("MCAM", {"access_reg_group": g}) for g in (0, 1, 2)]
    + [("MCQS", {"component_index": 0})]
    + [(r, {"local_port": p}) for r in ("PAOS", "PMLP", "PPLM", "PPCR") for p in PORTS]
    + [("PTYS", {"local_port": p, "proto_mask": 4}) for p in PORTS]
    + [("PPCNT", {"local_port": p, "grp": g}) for p in PORTS for g in PPCNT_GROUPS]
    + [("PDDR", {"local_port": p, "page_select": g}) for p in PORTS for g in PDDR_PAGES]
    + [("PMAOS", {"module": m}) for m in (0, 1)]
    + [("MCIA", {"module": m, "i2c_device_address": 0x50, "size": 48}) for m in (0, 1)]
)


# Read by us before the tool, too: fields of these move by themselves.
MOVING = {"MGIR", "PPCNT", "PDDR", "MPCNT", "MTMP", "MRSI", "MTRC_CTRL"}
# Fields of ours that the tool shows in parts: {part of the tool: its lowest bit in ours}.
PARTS = {
    ("MGIR", "hw_info.flags"): {"hw_info.module_master_fw_default": 16, "hw_info.cpo_indication": 27, "hw_info.ga_valid": 28,
                                "hw_info.development": 30, "hw_info.pci_switch_only_mode": 31},
    ("MGIR", "fw_info.isfu"): {"fw_info.isfu_major": 0, "fw_info.disabled_tiles_bitmap": 16},
    ("MGIR", "sw_info.version"): {"sw_info.sub_minor": 0, "sw_info.minor": 8, "sw_info.major": 16},
    ("MGIR", "sw_info.rom_types"): {f"sw_info.rom{3 - n}_{what}": 8 * n + bit
                                    for n in range(4) for what, bit in (("type", 0), ("arch", 4))},
    **{("MGIR", f"sw_info.rom{n}_version"): {f"sw_info.rom{n}_version.{part}": bit
                                             for part, bit in (("build", 0), ("minor", 16), ("major", 24))} for n in range(4)},
    ("MFRL", "reset_level"): {"reset_trigger": 0},
    **{("PMLP", f"lane{n}_module_mapping.{part}"): {f"lane_module_mapping[{n}].{part}_{n}": 0} for n in range(8)
       for part in ("module", "slot_index", "sub_module", "tx_lane", "rx_lane", "bidi_map")},
    **{("MTRC_CAP", f"string_db_param[{n}].{part}"): {f"string_db_param[{n}].{part}_{n}": 0} for n in range(8)
       for part in ("string_db_base_address", "string_db_size")},
    **{("DTOR", f"{ours}.{part}"): {f"{tool}.{part}": 0} for part in ("to_value", "to_multiplier") for ours, tool in (
        ("pcie_toggle_to", "PCIE_TOGGLE_TO"), ("health_poll_interval_to", "HEALTH_POLL_TO"),
        ("full_crdump_to", "FULL_CRDUMP_TO"), ("fw_reset_to", "FW_RESET_TO"), ("flush_on_err_to", "FLUSH_ON_ERR_TO"),
        ("pci_sync_update_to", "PCI_SYNC_UPDATE_TO"), ("tear_down_to", "TEAR_DOWN_TO"),
        ("fsm_reactivate_to", "FSM_REACTIVATE_TO"), ("reclaim_pages_to", "RECLAIM_PAGES_TO"),
        ("reclaim_vfs_pages_to", "RECLAIM_VFS_PAGES_TO"), ("device_reset_unload_to", "DRIVER_UNLOAD_AND_RESET_TO"))},
    ("MNVGN", "nv_hdr_dw0"): {f"configuration_item_header.{part}": bit for part, bit in (
        ("length", 0), ("host_id_valid", 9), ("version", 12), ("writer_id", 16), ("access_mode", 22), ("rd_en", 24),
        ("ovr_en", 25), ("priority", 28))},
    ("MNVGN", "nv_hdr_type"): {f"configuration_item_header.type.configuration_item_type_class_global_ext.{part}": bit
                               for part, bit in (("parameter_index", 0), ("type_class", 24))},
}
# Fields of ours that the tool has no name for: nobody else judges them.
UNSHOWN = {
    "MPCNT": {"life_time_counter_high", "life_time_counter_low", "l0_to_recovery_eieos", "l0_to_recovery_ts",
              "l0_to_recovery_framing", "l0_to_recovery_retrain"},
    "PDDR": {"dp_st_lane"},
    "MNVGN": {"nv_hdr_crc"},
}
# Halves of one number, of which the lower wraps between two readings.
HALVES = {("current_timestamp_52_32", "current_timestamp_31_0"): "current_timestamp"}
# Of these the tool shows the beginning only.
BEGINNINGS = {("MTRC_STDB", "string_db_data")}
# Arrays whose names differ.
ARRAYS = {("MCIA", "data"): "dword"}
# The driver says 0 for a little-endian host; a PCIe link without errors has nothing to count.
NOTHING_BUT_ZEROS = {"HOST_ENDIANNESS", "MPCNT"}
# The list of registers that the model is asked for beside those in WALK, and who judges them instead, or why nobody does.
ELSEWHERE = {
    "MNVDA": "mstconfig reads and writes every record with it; its type is no index for mstreg",
    "MNVDI": "mstconfig resets one record with it, our agent reads what became of it (Two)",
    "MNVIA": "mstconfig resets every record with it, our agent reads what became of them (Two)",
    "MQIS": "mstconfig shows the name and the description of the device from it; mstreg asks it for no characters",
    "MCDA": "the kernel's mlxfw writes an image with it, which then runs (Devlink)",
    "RESOURCE_DUMP": "unjudged: mstreg cannot ask for an inline dump, mstresourcedump and the driver want memory of the card's",
}
LIST = ("MGIR MSGI MNVDA MNVQC MNVDI MNVIA MNVGC MNVGN MFRL MROQ MRSI MTCAP MTMP MCAM PCAM QCAM MCQS MCQI MCC MCDA MQIS PAOS PTYS "
        "PPCNT PPCR PDDR PMLP PMAOS PPLM MPEIN MPCNT MPIR MCIA MTRC_CAP MTRC_CONF MTRC_STDB MTRC_CTRL RESOURCE_DUMP DTOR").split()


def joined(fields):
    """The fields with HALVES as one number each; of ours as text, of the tool's as numbers."""
    for (high, low), name in HALVES.items():
        if high in fields:
            number = int(str(fields[high]), 0) << 32 | int(str(fields[low]), 0)
            fields = {k: v for k, v in fields.items() if k not in (high, low)} | {name: type(fields[high])(number)}
    return fields


def shown(register, tool, name):
    """What the tool shows for our field: numbers, most significant first; None if it has no such field."""
    parts = PARTS.get((register, name))
    if parts:
        return [sum(tool[part] << bit for part, bit in parts.items())]
    name = ARRAYS.get((register, name), name)
    for suffixes in (("",), ("_high", "_low"), ("_hi", "_lo")):
        found = [[v for p, v in tool.items() if p == name + s or p.endswith("." + name + s)] for s in suffixes]
        if all(len(f) == 1 for f in found):
            return [f[0] for f in found]
    array = {}
    for path, value in tool.items():
        at = re.search(rf"(^|\.){re.escape(name)}\[(\d+)\]$", path)
        if at:
            array[int(at[2])] = value
    if array:
        return [array[i] for i in sorted(array)]
    below = [v for p, v in tool.items() if f".{name}." in f".{p}"]  # a union: the one member that applies
    return below if len(below) == 1 else None


def readings(values, ours):
    """The ways in which the tool's numbers can be written as ours is: a number, bytes, a text."""
    words = b"".join(v.to_bytes(4 if v < 1 << 32 else 8, "big") for v in values)
    if re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", ours) and len(values) < 3:
        yield int(ours, 0), int.from_bytes(words, "big")
    else:
        yield ours, words.hex()
    text = bytes(values) if len(values) > 2 and max(values) < 256 else words
    yield ours, text.strip(b"\0").decode("latin-1")


def same(values, before, after, beginning):
    """Whether the tool's numbers are one of ours, or lie between them, or (beginning) are how ours begins."""
    for (first, tool), (last, _) in zip(readings(values, before), readings(values, after)):
        if tool in (first, last) or (isinstance(tool, int) and first <= tool <= last):
            return True
        if beginning and str(last).startswith(str(tool)):
            return True
    return False


class Walk(bed.Boot):
    scenario = "registers"
    cost = 100

    @classmethod
    def draw(cls, run):
        super().draw(run)
        cls.values["TRACE_LOG"] = hex(bed.RNG.randrange(1, 20))
        cls.database = vendor.Registers(run.parts["TOOLS"])

    @classmethod
    def extra(cls):
        lines = []
        for n, (name, given) in enumerate(WALK):
            indexes = {i: 0 for i in cls.database.indexes(name)} | given
            tool = ",".join(f"{k}={v:#x}" for k, v in indexes.items()) or "-"
            ours = " ".join(f"{k}={v}" for k, v in given.items())
            lines.append(f"r{n} {'moves' if name in MOVING else 'stays'} {name} {tool} {ours}\n")
        return {"registers": "".join(lines).encode()}

    def compare(self, register, tool, before, after):
        """Fields of ours that are not what the tool shows, those that are, and of them those that were not zero."""
        bad, alike, counted = [], set(), set()
        for name, value in after.items():
            if name in UNSHOWN.get(register, ()) or name.startswith("undecoded@"):  # bytes behind the fields, as they are
                continue
            values = shown(register, tool, name)
            if values is None:
                bad.append(f"{name}: the tool has no such field")
            elif same(values, before.get(name, value), value, (register, name) in BEGINNINGS):
                alike.add(name)
                counted |= {name} if any(values) else set()
            else:
                bad.append(f"{name}: ours {before.get(name, value)} and {value}, the tool's {values}")
        return bad, alike, counted

    def test_every_field_that_we_decode_is_what_mstreg_shows(self):
        alike, counted, n_equal = {}, {}, {}
        for n, (name, given) in enumerate(WALK):
            what = name + "".join(f" {k}={v:#x}" for k, v in given.items())
            with self.subTest(register=what):
                tool = vendor.path_leaves(self.ok(f"tool_r{n}"))
                after = vendor.our_fields(self.ok(f"ours_r{n}"))
                before = vendor.our_fields(self.ok(f"before_r{n}")) if name in MOVING else {}
                bad, same_here, counted_here = self.compare(name, joined(tool), joined(before), joined(after))
                self.assertEqual(bad, [])
                self.assertGreater(len(same_here), 0)
                n_equal[name] = n_equal.get(name, 0) + len(same_here)
                part = name + "".join(f" {k}={given[k]:#x}" for k in ("grp", "page_select") if k in given)
                alike.setdefault(part, set()).update(same_here)
                counted.setdefault(part, set()).update(counted_here)
        print("fields equal in mstreg and our agent:", ", ".join(f"{r} {n}" for r, n in sorted(n_equal.items())), flush=True)
        for part in sorted(alike):
            zeros = sorted(alike[part] - counted[part])
            print(f"only zeros seen in {part}: {len(zeros)} of {len(alike[part])} fields: {' '.join(zeros)}", flush=True)
        self.assertEqual({part for part in alike if not counted[part]}, NOTHING_BUT_ZEROS)

    def test_the_tool_sets_the_tracer_up(self):
        for name in ("tracer_owner", "tracer_set"):
            self.ok(name)

    def test_every_register_of_the_list_is_judged_or_named(self):
        walked = {name for name, _ in WALK}
        names = set(self.ok("names").split())
        self.assertEqual(sorted(set(LIST) - walked - set(ELSEWHERE)), [])
        self.assertEqual(sorted(walked & set(ELSEWHERE)), [])
        self.assertEqual(sorted(walked - names), [])
        print("registers that mstreg shows:", " ".join(sorted(walked)), flush=True)
        for name, why in sorted(ELSEWHERE.items()):
            print(f"register {name}: {why}", flush=True)

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
