"""What the vendor's tools print, and what our command line prints, as values that can be compared."""
import json
import re
from xml.etree import ElementTree


def register(text):
    """Fields of `mstreg --get`, with the value of each name's first line."""
    fields = {}
    for name, value in leaves(text):
        fields.setdefault(name, value)
    return fields


def leaves(text):
    """Every field of `mstreg --get` in order: (name, value)."""
    return [(name, int(value, 16)) for name, value in re.findall(r"^(\S+) +\| (0x[0-9a-f]+)$", text, re.M)]


def number_of(fields, name):
    """A field, or its halves name_hi and name_lo; None if the tool has no such number."""
    if f"{name}_hi" in fields and f"{name}_lo" in fields:
        return fields[f"{name}_hi"] << 32 | fields[f"{name}_lo"]
    return fields.get(name)


def text_of(fields, name):
    """A text, which the tool shows as halves, words or bytes; None if it has no such field."""
    number = number_of(fields, name)
    if number is not None:
        size = 8 if f"{name}_hi" in fields else 4
        return number.to_bytes(size, "big").rstrip(b"\0").decode()
    parts = [fields[f"{name}[{i}]"] for i in range(64) if f"{name}[{i}]" in fields]
    if not parts:
        return None
    size = 4 if max(parts) > 255 else 1
    return b"".join(p.to_bytes(size, "big") for p in parts).rstrip(b"\0").decode()


def parameters(text):
    """Parameters of `mstconfig query`: name -> value as shown."""
    return dict(re.findall(r"^ {8}(\S+) +(\S+) *$", text, re.M))


def numbers(text):
    """Parameters of `mstconfig query`: name -> number, of "NAME(number)", too."""
    return {name: int(re.search(r"(\d+)\)?$", value)[1]) for name, value in parameters(text).items()}


def images(text, name):
    """A parameter of `mstconfig -e query`: its default, running and stored value."""
    return re.search(rf"\b{name} +(\S+) +(\S+) +(\S+)", text).groups()


def link(text):
    """Rows of mstlink: name -> value, without the colours."""
    text = re.sub(r"\033\[[0-9;]*m", "", text)
    return {name: value.strip() for name, value in re.findall(r"^(\S[^:\n]*?) *: (.*)$", text, re.M)}


def our_register(text):
    """Fields of `hawser reg get -o json` by the last part of their name."""
    return {r["field"].split(".")[-1]: r["value"] for r in json.loads(text)["fields"]}


def our_fields(text):
    """Fields of `hawser reg get -o json` by their full name."""
    return {r["field"]: r["value"] for r in json.loads(text)["fields"]}


def our_values(text):
    """Values of `hawser config get -o json`: name -> row."""
    return {row["name"]: row for row in json.loads(text)["values"]}


class Registers:
    """The vendor's register database: which index fields a register has."""

    def __init__(self, tools):
        tree = ElementTree.parse(f"{tools}/usr/share/mstflint/prm_dbs/hca/ext/register_access_table.adb")
        self.nodes = {node.get("name").lower(): node for node in tree.getroot().iter("node")}

    def indexes(self, name):
        """Names of the fields that say what is asked for; mstreg wants each of them."""
        low = name.lower()
        node = next(self.nodes[n] for n in (f"{low}_reg_ext", f"{low}_ext", f"register_{low}_ext") if n in self.nodes)
        return [f.get("name") for f in node.findall("field") if f.get("access") == "INDEX"]


def path_leaves(text):
    """Every field of `mstreg --get --full_path`: full path -> value."""
    return {path: value for path, value in leaves(text)}
