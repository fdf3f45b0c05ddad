"""What the fields of a FlexDriver have in common: how they are read, and the shapes of text."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Model(BaseModel):
    """A part of a spec: closed, unchangeable, in the names of the wire."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )

    def wire(self) -> dict[str, Any]:
        """The value as Kubernetes writes it, without what was left out."""
        return self.model_dump(by_alias=True, exclude_none=True)


def matching(pattern: re.Pattern[str], words: str) -> AfterValidator:
    """The check of a text that has to match as a whole; `words` say what it must be instead."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _in_image(value: str) -> str:
    if not value.startswith("/") or value.endswith("/") or CONTROL.search(value):
        raise ValueError(
            "must be an absolute path of a file in the image, such as /bin/nfs, without control "
            "characters"
        )
    return value


PathInImage = Annotated[str, AfterValidator(_in_image)]
