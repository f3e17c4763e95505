"""What the file system of a container begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pytest_selfrep.kubesim.containers.files import Directory, File

_DIRECTORIES = (
    "bin",
    "dev/shm",
    "etc",
    "home",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/local/bin",
    "usr/sbin",
    "var/log",
    "var/run",
    "var/tmp",
)
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
_GROUP = "root:x:0:\nnobody:x:65534:\n"
_HOSTS = (
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
)
_ALPINE = (
    'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.21.3\nPRETTY_NAME="Alpine Linux v3.21"\n'
    'HOME_URL="https://alpinelinux.org/"\nBUG_REPORT_URL="https://gitlab.alpinelinux.org/alpine/aports/-/issues"\n'
)
_DEBIAN = (
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'
    'VERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\nHOME_URL="https://www.debian.org/"\n'
    'SUPPORT_URL="https://www.debian.org/support"\nBUG_REPORT_URL="https://bugs.debian.org/"\n'
)
_WITHOUT_SYSTEM = frozenset({"busybox", "pause"})
_ON_DEBIAN = frozenset({"debian", "httpd", "nginx", "node", "postgres", "python", "redis"})
"""Images that are made from Debian; all others are taken to be made from Alpine, as their programs are."""
_DEVICES = ("full", "null", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero")


def os_release(image: str) -> dict[str, str]:
    """/etc/os-release of an image, if it has one."""
    repository, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if repository in _WITHOUT_SYSTEM:
        return {}
    return {"os-release": _DEBIAN if repository in _ON_DEBIAN and "alpine" not in tag else _ALPINE}


def root(programs: Iterable[str], files: Mapping[str, str], now: float) -> Directory:
    """A root directory: the system's programs and directories, and ``files`` by their paths."""
    top = Directory(changed=now)
    for path in _DIRECTORIES:
        at = top
        for part in path.split("/"):
            inner = at.entries.setdefault(part, Directory(changed=now))
            if isinstance(inner, Directory):
                at = inner
    _directory(top, "tmp").mode = 0o1777
    for name in sorted(programs):
        _directory(top, "bin").entries[name] = File(b"\x7fELF", 0o755, now, program=name)
    for name in _DEVICES:
        _directory(top, "dev").entries[name] = File(b"", 0o666, now)
    etc = _directory(top, "etc")
    for name, text in {"passwd": _USERS, "group": _GROUP, **files}.items():
        etc.entries[name] = File(text.encode(), 0o644, now)
    return top


def hosts(address: str, hostname: str, aliases: Iterable[tuple[str, Iterable[str]]]) -> str:
    """/etc/hosts as a kubelet writes it."""
    text = _HOSTS + f"{address}\t{hostname}\n"
    extra = [f"{each}\t{chr(9).join(names)}\n" for each, names in aliases]
    if extra:
        text += "\n# Entries added by HostAliases.\n" + "".join(extra)
    return text


def resolv_conf(namespace: str, nameserver: str) -> str:
    """/etc/resolv.conf of a pod with the policy ClusterFirst."""
    domain = "svc.cluster.local"
    return f"search {namespace}.{domain} {domain} cluster.local\nnameserver {nameserver}\noptions ndots:5\n"


def proc(files: Mapping[str, Callable[[], bytes]], now: float) -> Directory:
    """/proc, read-only; paths like ``1/cmdline``."""
    top = Directory(mode=0o555, changed=now, read_only=True)
    for path, contents in files.items():
        *parents, name = path.split("/")
        at = top
        for part in parents:
            inner = at.entries.setdefault(part, Directory(mode=0o555, changed=now, read_only=True))
            if isinstance(inner, Directory):
                at = inner
        at.entries[name] = File(contents, 0o444, now)
    return top


def _directory(top: Directory, name: str) -> Directory:
    found = top.entries[name]
    if not isinstance(found, Directory):
        raise TypeError(name)
    return found
