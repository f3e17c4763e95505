"""Programs for files: ``ls``, ``mkdir``, ``rm``, ``cp``, ``mv``, ``find`` and their like."""

from __future__ import annotations

import fnmatch
import re
import stat as modes
from collections.abc import Iterator
from datetime import UTC, timedelta

from pytest_selfrep.kubesim.containers.files import Directory, File, FileProblem, Link, Node
from pytest_selfrep.kubesim.containers.process import Process
from pytest_selfrep.kubesim.containers.programs.options import Misused, misused, options

_MAX_DEPTH = 32


def ls(process: Process) -> int:
    try:
        found, names = options(process.argv[1:], "la1AhdRtrFi")
    except Misused as problem:
        return misused(process, problem)
    code, shown = 0, []
    for name in names or ["."]:
        try:
            node = process.files.find(process.path(name), follow="l" not in found or name.endswith("/"))
            if isinstance(node, Link) and "d" not in found and "l" not in found:
                node = process.files.find(process.path(name))
        except FileProblem as problem:
            code = process.complain(f"{name}: {problem}")
            continue
        shown.append((name, node))
    plain = [(name, node) for name, node in shown if not isinstance(node, Directory) or "d" in found]
    process.out("".join(_entry(process, name, node, found) for name, node in plain))
    directories = [each for each in shown if each not in plain]
    for index, (name, node) in enumerate(directories):
        if len(shown) > 1 or "R" in found:
            process.out(("\n" if index or plain else "") + f"{name}:\n")
        if isinstance(node, Directory):
            _listing(process, name, node, found, 0)
    return code


def _listing(process: Process, name: str, node: Directory, found: dict[str, str], depth: int) -> None:
    process.engine.step()
    entries: list[tuple[str, Node]] = sorted(node.entries.items())
    if "a" not in found and "A" not in found:
        entries = [each for each in entries if not each[0].startswith(".")]
    if "a" in found:
        entries = [(".", node), ("..", node), *entries]
    if "t" in found:
        entries.sort(key=lambda each: -each[1].changed)
    if "r" in found:
        entries.reverse()
    if "l" in found:
        process.out(f"total {4 * len([each for each in entries if not isinstance(each[1], Link)])}\n")
    process.out("".join(_entry(process, each, inner, found) for each, inner in entries))
    for each, inner in entries if "R" in found and depth < _MAX_DEPTH else ():
        if isinstance(inner, Directory) and each not in (".", ".."):
            process.out(f"\n{name.rstrip('/')}/{each}:\n")
            _listing(process, f"{name.rstrip('/')}/{each}", inner, found, depth + 1)


def _entry(process: Process, name: str, node: Node, found: dict[str, str]) -> str:
    if "l" not in found:
        return name + "\n"
    kind = {Directory: modes.S_IFDIR, Link: modes.S_IFLNK}.get(type(node), modes.S_IFREG)
    at = process.world.date() + timedelta(
        seconds=min(node.changed, process.world.now()) - process.world.now()
    )
    links = 2 if isinstance(node, Directory) else 1
    target = f" -> {node.target}" if isinstance(node, Link) else ""
    when, rights = at.astimezone(UTC).strftime("%b %e %H:%M"), modes.filemode(kind | node.mode)
    return f"{rights} {links:>4} root     root     {node.size:>9} {when} {name}{target}\n"


def mkdir(process: Process) -> int:
    try:
        found, names = options(process.argv[1:], "pv", "m")
    except Misused as problem:
        return misused(process, problem)
    code = 0 if names else process.complain("missing operand")
    for name in names:
        try:
            process.files.make_directory(process.path(name), parents="p" in found)
        except FileProblem as problem:
            code = process.complain(f"can't create directory '{name}': {problem}")
    return code


def touch(process: Process) -> int:
    code = 0
    for name in (word for word in process.argv[1:] if not word.startswith("-")):
        try:
            process.files.open(process.path(name), append=True)
        except FileProblem as problem:
            if not process.files.exists(process.path(name)) or str(problem) != "Is a directory":
                code = process.complain(f"{name}: {problem}")
    return code


def rm(process: Process) -> int:
    try:
        found, names = options(process.argv[1:], "rRfiv")
    except Misused as problem:
        return misused(process, problem)
    code, forced = 0, "f" in found
    if not names and not forced:
        return process.complain("missing operand")
    for name in names:
        if name.rstrip("/").rpartition("/")[2] in (".", ".."):
            code = process.complain(f"can't remove '{name}': Invalid argument")
            continue
        try:
            node = process.files.find(process.path(name), follow=False)
            if isinstance(node, Directory) and not {"r", "R"} & set(found):
                code = process.complain(f"'{name}' is a directory")
                continue
            process.files.remove(process.path(name))
        except FileProblem as problem:
            if not (forced and str(problem) == "No such file or directory"):
                code = process.complain(f"can't remove '{name}': {problem}")
    return code


def rmdir(process: Process) -> int:
    code = 0
    for name in process.argv[1:]:
        try:
            if process.files.directory(process.path(name)).entries:
                raise FileProblem("Directory not empty")
            process.files.remove(process.path(name))
        except FileProblem as problem:
            code = process.complain(f"'{name}': {problem}")
    return code


def cp(process: Process) -> int:
    try:
        found, names = options(process.argv[1:], "rRafpdL")
    except Misused as problem:
        return misused(process, problem)
    return _each_to(process, names, recursive=bool({"r", "R", "a"} & set(found)), keep=True)


def mv(process: Process) -> int:
    try:
        _, names = options(process.argv[1:], "fniT")
    except Misused as problem:
        return misused(process, problem)
    return _each_to(process, names, recursive=True, keep=False)


def _each_to(process: Process, names: list[str], *, recursive: bool, keep: bool) -> int:
    if len(names) < 2:
        return process.complain("missing operand")
    *sources, target = names
    files = process.files
    into = files.exists(process.path(target)) and isinstance(files.find(process.path(target)), Directory)
    if len(sources) > 1 and not into:
        return process.complain(
            f"target '{target}' is not a directory"
            if keep
            else f"can't rename '{sources[0]}': Not a directory"
        )
    code, verb = 0, "stat" if keep else "rename"
    for source in sources:
        place = process.path(source)
        goal = (
            f"{process.path(target).rstrip('/')}/{place.rpartition('/')[2]}" if into else process.path(target)
        )
        try:
            node = files.find(place, follow=keep)
            if goal == place or (isinstance(node, Directory) and f"{goal}/".startswith(f"{place}/")):
                code = process.complain(f"can't {verb if not keep else 'copy'} '{source}': Invalid argument")
            elif isinstance(node, Directory) and not recursive:
                code = process.complain(f"omitting directory '{source}'")
            else:
                copy_tree(process, node, goal)
                if not keep:
                    files.remove(place)
        except FileProblem as problem:
            code = process.complain(f"can't {verb} '{source}': {problem}")
    return code


def copy_tree(process: Process, node: Node, goal: str, depth: int = 0) -> None:
    """Raises FileProblem."""
    process.engine.step()
    if isinstance(node, Directory):
        process.files.make_directory(goal, parents=True)
        for name, inner in list(node.entries.items()) if depth < _MAX_DEPTH else ():
            copy_tree(process, inner, f"{goal}/{name}", depth + 1)
    elif isinstance(node, Link):
        process.files.put(goal, Link(node.target, process.world.now()))
    else:
        made = process.files.open(goal)
        process.files.write(made, node.read(), replace=True)
        process.engine.spend(made.size)
        made.mode = node.mode


def ln(process: Process) -> int:
    names = [word for word in process.argv[1:] if not word.startswith("-")]
    if len(names) != 2:
        return process.complain("missing operand")
    try:
        process.files.put(process.path(names[1]), Link(names[0], process.world.now()))
    except FileProblem as problem:
        return process.complain(f"{names[1]}: {problem}")
    return 0


def chmod(process: Process) -> int:
    words = [word for word in process.argv[1:] if word not in ("-R", "-v")]
    code = 0
    for name in words[1:]:
        try:
            node = process.files.find(process.path(name))
        except FileProblem as problem:
            code = process.complain(f"{name}: {problem}")
            continue
        mode = words[0]
        if mode.isdigit() and set(mode) <= set("01234567") and len(mode) <= 4:
            node.mode = int(mode, 8)
        elif mode in ("+x", "a+x", "u+x"):
            node.mode |= 0o111
        elif mode in ("-x", "a-x"):
            node.mode &= ~0o111
        else:
            return process.complain(f"invalid mode '{mode}'")
    return code


def find(process: Process) -> int:
    words = process.argv[1:]
    roots = []
    while words and not words[0].startswith("-"):
        roots.append(words.pop(0))
    tests = dict(zip(words[::2], words[1::2], strict=False))
    unknown = next((word for word in tests if word not in ("-name", "-type", "-maxdepth")), None)
    if unknown is not None or len(words) % 2:
        return process.complain(f"unrecognized: {unknown or words[-1]}")
    code = 0
    depth = tests.get("-maxdepth", "")
    most = min(int(depth), _MAX_DEPTH) if re.fullmatch("[0-9]{1,9}", depth) else _MAX_DEPTH
    for root in roots or ["."]:
        try:
            node = process.files.find(process.path(root))
        except FileProblem as problem:
            code = process.complain(f"{root}: {problem}")
            continue
        for path, each in _below(process, root, node, most):
            kind = "d" if isinstance(each, Directory) else "l" if isinstance(each, Link) else "f"
            named = fnmatch.fnmatchcase(path.rstrip("/").rpartition("/")[2], tests.get("-name", "*"))
            if named and tests.get("-type", kind) == kind:
                process.out(path + "\n")
    return code


def _below(process: Process, path: str, node: Node, depth: int) -> Iterator[tuple[str, Node]]:
    process.engine.step()
    yield path, node
    if isinstance(node, Directory) and depth > 0:
        for name, inner in sorted(node.entries.items()):
            yield from _below(process, f"{path.rstrip('/')}/{name}", inner, depth - 1)


def df(process: Process) -> int:
    process.out(
        "Filesystem           1K-blocks      Used Available Use% Mounted on\n"
        "overlay              101583780  24377164  72000424  25% /\n"
        "tmpfs                    65536         0     65536   0% /dev\n"
    )
    return 0


def basename(process: Process) -> int:
    words = process.argv[1:] or [""]
    name = words[0].rstrip("/").rpartition("/")[2] or "/"
    if len(words) > 1 and name != words[1]:
        name = name.removesuffix(words[1])
    process.out(name + "\n")
    return 0


def dirname(process: Process) -> int:
    path = (process.argv[1:] or [""])[0].rstrip("/")
    head, slash, _ = path.rpartition("/")
    process.out((head or ("/" if slash else ".")) + "\n")
    return 0


def stat(process: Process) -> int:
    code = 0
    for name in process.argv[1:]:
        try:
            node = process.files.find(process.path(name), follow=False)
        except FileProblem as problem:
            code = process.complain(f"can't stat '{name}': {problem}")
            continue
        kind = (
            "directory"
            if isinstance(node, Directory)
            else "regular file"
            if isinstance(node, File)
            else "symbolic link"
        )
        process.out(f"  File: {name}\n  Size: {node.size}\tBlocks: 8          IO Block: 4096   {kind}\n")
    return code


PROGRAMS = {
    "basename": basename,
    "chmod": chmod,
    "cp": cp,
    "df": df,
    "dirname": dirname,
    "find": find,
    "ln": ln,
    "ls": ls,
    "mkdir": mkdir,
    "mv": mv,
    "rm": rm,
    "rmdir": rmdir,
    "stat": stat,
    "touch": touch,
}
