"""Names, uids and tokens that look random and follow from the seed."""

from __future__ import annotations

import hashlib
import random

# Kubernetes leaves out vowels and look-alikes (apimachinery/pkg/util/rand).
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Names:
    """A stream of names, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        # Nothing secret hangs on these: worlds are thrown away and reachable from this machine only.
        # Seeded by a text because the first uids after small integer seeds are known to many by sight.
        self._random = random.Random(f"cluster {seed}")  # noqa: S311 - no secret, see above

    def suffix(self, length: int = 5) -> str:
        """As appended to ``generateName``."""
        return "".join(self._random.choices(_ALPHABET, k=length))

    def uid(self) -> str:
        """A random UUID (version 4)."""
        return _uuid(self._random.getrandbits(128))

    def random(self) -> float:
        """A number in [0, 1), for jitter."""
        return self._random.random()


def uid_of(*named: object) -> str:
    """The UUID of what is named so, always the same."""
    digest = hashlib.blake2b(repr(named).encode(), digest_size=16).digest()
    return _uuid(int.from_bytes(digest, "big"))


def _uuid(number: int) -> str:
    """Of version 4, from 128 bits."""
    digits = f"{number & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def safe_encode(number: int) -> str:
    """How Kubernetes spells a hash in names (rand.SafeEncodeString of its decimal digits)."""
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def suffix_of(uid: str) -> str:
    """A suffix that follows from a UUID, spelled as a random one is."""
    number = int(uid[:8], 16)
    return "".join(_ALPHABET[number // len(_ALPHABET) ** place % len(_ALPHABET)] for place in range(5))
