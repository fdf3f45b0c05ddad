"""What the clusters of these tests could leave behind on the machine.

Other clusters may run at the same time, so what can be theirs is left out.
"""

import os
import re
import subprocess
from pathlib import Path

from testbed.layout import state_root
from testbed.state import clusters

OURS = "testbed-"
SETTINGS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/random/boot_id",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
)
FOLDERS = ("/etc", "/opt", "/run", "/usr/libexec", "/var/lib", "/var/log")


def snapshot() -> dict[str, object]:
    return {
        "processes": processes(),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "links": without_others(names("/sys/class/net")),
        "routes": without_others(output("ip", "route", "show", "table", "all").splitlines()),
        "packet filters": packet_filters(),
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        "cgroups": sorted(filter(is_ours, (path for path, _, _ in os.walk("/sys/fs/cgroup")))),
        "files": {folder: names(folder) for folder in FOLDERS},
        "clusters": sorted(state_root().glob(f"{OURS}*")),
    }


def processes() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if f"{state_root()}/{OURS}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def packet_filters() -> str:
    """Rules of every table, without counters and dates; empty where there is no iptables."""
    if not Path("/usr/sbin/iptables-save").exists():
        return ""
    return "".join(line for line in output("iptables-save").splitlines() if line[:1] in "*-:")


def names(folder: str) -> list[str]:
    return sorted(entry.name for entry in Path(folder).iterdir())


def without_others(lines: list[str]) -> list[str]:
    """Lines that name no bridge or cable of somebody else's cluster."""
    bridges = [c.layout.bridge for c in clusters() if not c.name.startswith(OURS)]
    foreign = re.compile("|".join(rf"\b{bridge}\b" for bridge in bridges) or r"\Zx")
    return [line for line in lines if not foreign.search(line)]


def is_ours(cgroup: str) -> bool:
    return f"flexvolume-testbed-{OURS}" in cgroup


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout
