"""Every parser that reads what strangers send, each with an oracle: `TARGETS`."""

from tests.fuzz.parsers import bodies, codes, headers, sealed
from tests.fuzz.parsers.target import Target

TARGETS: dict[str, Target] = {**headers.TARGETS, **sealed.TARGETS, **codes.TARGETS, **bodies.TARGETS}
