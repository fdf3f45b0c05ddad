"""What one target of a Dockerfile depends on, so that nothing else is built or makes it rebuild."""

import re
from collections.abc import Mapping

_STAGE = re.compile(r"^(?=FROM\s)", re.MULTILINE | re.IGNORECASE)
_NAME = re.compile(r"^FROM\s.*\sAS\s+(\S+)", re.IGNORECASE)
_USED = re.compile(r"^FROM\s+(\S+)|--from=(\S+)", re.MULTILINE | re.IGNORECASE)


def reduced(dockerfile: str, target: str) -> str:
    """The Dockerfile without the stages that the target (empty: the last stage) does not use."""
    preamble, *stages = _STAGE.split(dockerfile)
    names = [match[1] if (match := _NAME.match(stage)) else "" for stage in stages]
    wanted = names.index(target) if target else len(stages) - 1
    by_name = {name: index for index, name in enumerate(names) if name}
    needed = _needed(stages, by_name, wanted)
    return preamble + "".join(stages[index] for index in sorted(needed))


def _needed(stages: list[str], by_name: Mapping[str, int], wanted: int) -> set[int]:
    used = {first or second for first, second in _USED.findall(stages[wanted])}
    found = {wanted}
    for name in used & set(by_name):
        found |= _needed(stages, by_name, by_name[name])
    return found


def copied(dockerfile: str) -> set[str]:
    """The sources of all COPY and ADD instructions that take them from the build's folder."""
    lines = dockerfile.replace("\\\n", " ").splitlines()
    words = [line.split() for line in lines if line.split()[:1] in (["COPY"], ["ADD"])]
    return {
        source.strip("/").removeprefix("./") or "."
        for instruction in words
        if not any(word.startswith("--from=") for word in instruction)
        for source in [word for word in instruction[1:] if not word.startswith("--")][:-1]
    }
