"""What kubectl prints, without what differs from run to run: ages, addresses, suffixes, widths of columns."""

from __future__ import annotations

import re

_RULES = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uid>"),
    (r"(<invalid>|\b(\d+[ydhms])+\b)( ago\b)?", "<age>"),
    (r"\b\d+\.\d+\.\d+\.\d+\b", "<ip>"),
    (r"\b([a-z]+)-[0-9a-f]{6,10}-[a-z0-9]{5}\b", r"\1-<hash>-<id>"),
    (r"\bkube-api-access-[a-z0-9]{5}\b", "kube-api-access-<id>"),
    (r"\b(agent|sum)-[a-z0-9]{5}\b", r"\1-<id>"),
    (r"\b(web|pod-template-hash=|agent)-?[0-9a-f]{8,10}\b", r"\1-<hash>"),
    (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\b(containerd|docker)://\S+", "<id>"),
    (r"docker.io/library/busybox@sha256:\w+|sha256:\w+", "<digest>"),
)


def plain(text: str, *names: str) -> str:
    """Lines with one space between words; ``names`` (of nodes, say) become ``<name>``."""
    for name in names:
        text = text.replace(name, "<name>")
    for pattern, sign in _RULES:
        text = re.sub(pattern, sign, text)
    return "\n".join(re.sub(r" {2,}|\t+", "  ", line).strip() for line in text.splitlines() if line.strip())
