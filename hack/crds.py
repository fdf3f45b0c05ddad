"""Derives from crds/ what must not be written by hand: embedded core types and the chart's copy.

A FlexDriver embeds a few types of core/v1. Written by hand they would be wrong or unchecked objects
(`x-kubernetes-preserve-unknown-fields`), so their schemas are taken from the OpenAPI document of a
real API server. What CEL's cost budget needs and the document lacks (a maximum for every string,
list and map) is added here. The chart needs a copy because Helm reads no file outside a chart.

    python hack/crds.py                           # after editing crds/: fill in and copy
    python hack/crds.py --check                   # exit 1 if that would change a file
    kubectl get --raw /openapi/v3/api/v1 > api-v1.json
    python hack/crds.py --openapi api-v1.json     # take over a new Kubernetes version
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
CRDS = ROOT / "crds"
CHART = ROOT / "charts/flexvolume-operator/files/crds"
COMMITTED = Path(__file__).with_name("core_shapes.json")
PREFIX = "#/components/schemas/"
CORE = "io.k8s.api.core.v1."
SHAPES = (
    "Affinity",
    "LocalObjectReference",
    "ResourceRequirements",
    "SELinuxOptions",
    "Toleration",
)
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
BLOCK = re.compile(
    r"^(?P<indent> *)# core/v1 (?P<shape>\w+)\n(?:.*\n)*?(?P=indent)# end of core/v1 (?P=shape)\n",
    re.MULTILINE,
)

# Characters that a field may have, by its name; 253 (a DNS name) where nothing is said.
MAX_LENGTH = {
    "key": 317,
    "matchLabelKeys": 317,
    "mismatchLabelKeys": 317,
    "topologyKey": 317,
    "matchLabels": 63,
    "namespaces": 63,
    "value": 63,
}
# Enough to name the nodes of a pool one by one.
MAX_ITEMS = 256
MAX_PROPERTIES = 16
# Refers to spec.resourceClaims of the pod, which a FlexDriver does not have.
LEFT_OUT = {("ResourceRequirements", "claims")}
# In core the name defaults to "", for compatibility alone: such a reference is always wrong.
REQUIRED = {"LocalObjectReference": ["name"]}
QUANTITY_SCHEMA: Schema = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
    "maxLength": 64,
}
# Go code parses quantities; CEL has the same parser, and can say what is right.
QUANTITIES_RULE: Schema = {
    "rule": "self.all(k, type(self[k]) != string || isQuantity(self[k]))",
    "message": "values must be quantities, such as 100m or 1 for cpu and 64Mi for memory",
    "messageExpression": "self.filter(k, type(self[k]) == string && !isQuantity(self[k]))[0]"
    " + ' must be a quantity, such as 100m or 1 for cpu and 64Mi for memory'",
}


class _Unaliased(yaml.SafeDumper):
    """Writes what occurs twice twice; structural schemas know no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def extract(schemas: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions that SHAPES need, out of all definitions of core/v1."""
    found: dict[str, Schema] = {}
    missing = [CORE + shape for shape in SHAPES]
    while missing:
        name = missing.pop()
        if name not in found and name != QUANTITY:
            found[name] = schemas[name]
            missing.extend(_references(schemas[name]))
    return dict(sorted(found.items()))


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix(PREFIX)
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _references(item)


def structural(name: str, schemas: dict[str, Schema]) -> Schema:
    """The definition of a core/v1 type as a structural schema without its own description."""
    schema = _resolved({"$ref": PREFIX + CORE + name}, "", schemas)
    schema.pop("description", None)
    return schema


def _resolved(node: Schema, field: str, schemas: dict[str, Schema]) -> Schema:
    reference = next(_references({k: node[k] for k in ("$ref", "allOf") if k in node}), None)
    if reference == QUANTITY:
        return dict(QUANTITY_SCHEMA)
    if reference is None:
        return _bounded(node, field, schemas)
    schema = _bounded(schemas[reference], field, schemas)
    kind = reference.rpartition(".")[2]
    for left_out in (f for k, f in LEFT_OUT if k == kind):
        del schema["properties"][left_out]
    if kind in REQUIRED:
        schema["required"] = REQUIRED[kind]
    return schema | {k: node[k] for k in ("description",) if k in node}


def _bounded(node: Schema, field: str, schemas: dict[str, Schema]) -> Schema:
    """A copy with limits, without defaults: core's empty ones would fill in what nobody wrote."""
    schema = {k: v for k, v in node.items() if k != "default"}
    match schema["type"]:
        case "object" if "properties" in schema:
            required = schema.get("required", [])
            schema["properties"] = {
                name: _optional_enum(_resolved(child, name, schemas), name in required)
                for name, child in schema["properties"].items()
            }
        case "object":
            values = _resolved(schema["additionalProperties"], field, schemas)
            schema |= {"additionalProperties": values, "maxProperties": MAX_PROPERTIES}
            if "x-kubernetes-int-or-string" in values:
                schema["x-kubernetes-validations"] = [dict(QUANTITIES_RULE)]
        case "array":
            schema |= {"items": _resolved(schema["items"], field, schemas), "maxItems": MAX_ITEMS}
        case "string" if "enum" not in schema:
            schema["maxLength"] = MAX_LENGTH.get(field, 253)
    return schema


def _optional_enum(schema: Schema, required: bool) -> Schema:
    """As in core, an optional enumerated field may also be written as an empty string."""
    if "enum" in schema and not required:
        schema["enum"] = ["", *schema["enum"]]
    return schema


def spliced(text: str, schemas: dict[str, Schema]) -> str:
    """The CRD text with every block between "# core/v1 X" and "# end of core/v1 X" filled in."""

    def block(match: re.Match[str]) -> str:
        indent, shape = match["indent"], match["shape"]
        dumped = yaml.dump(
            structural(shape, schemas), Dumper=_Unaliased, width=80 - len(indent) // 2
        )
        body = "".join(f"{indent}{line}".rstrip() + "\n" for line in dumped.splitlines())
        return f"{indent}# core/v1 {shape}\n{body}{indent}# end of core/v1 {shape}\n"

    return BLOCK.sub(block, text)


def derived(schemas: dict[str, Schema]) -> dict[Path, str]:
    """Every file this script is responsible for, with the content it should have."""
    crds = {path: spliced(path.read_text(), schemas) for path in sorted(CRDS.glob("*.yaml"))}
    copies = {CHART / path.name: text for path, text in crds.items()}
    return {COMMITTED: json.dumps(schemas, indent=1) + "\n", **crds, **copies}


def main() -> int:
    """Write what differs, or with --check only name it. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Derive from crds/ what is not written by hand.")
    parser.add_argument("--openapi", type=Path, help="take core/v1 from this OpenAPI document")
    parser.add_argument("--check", action="store_true", help="exit 1 if a file would change")
    arguments = parser.parse_args()
    if arguments.openapi:
        schemas = extract(json.loads(arguments.openapi.read_text())["components"]["schemas"])
    else:
        schemas = json.loads(COMMITTED.read_text())
    wanted = derived(schemas)
    stale = [path for path in wanted if not path.exists() or path.read_text() != wanted[path]]
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'is not up to date' if arguments.check else 'written'}")
        if not arguments.check:
            path.write_text(wanted[path])
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
