"""What is mounted into a container: ConfigMaps, Secrets, projected volumes, the downward API, emptyDirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping

from pytest_selfrep.kubesim.containers.environment import decoded, field_of, resource_of
from pytest_selfrep.kubesim.containers.files import Directory, File, Link
from pytest_selfrep.kubesim.kinds import CONFIG_MAP, SECRET
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Store

Contents = bytes | Callable[[], bytes]
_DATA = "..data"


class Volumes:
    """The volumes of one pod. ``token`` issues a service account token for so many seconds."""

    def __init__(
        self,
        store: Store,
        pod: Object,
        token: Callable[[int], bytes],
        kept: MutableMapping[str, Directory],
        now: float,
        stamp: str,
    ) -> None:
        """``kept``: directories that live as long as the pod, by volume."""
        self._store = store
        self._pod = pod
        self._token = token
        self._kept = kept
        self._now = now
        self._stamp = stamp

    def directory(self, name: str) -> Directory:
        """What a mount of a volume shows."""
        volume: Object = next((v for v in self._pod["spec"].get("volumes") or () if v["name"] == name), {})
        if not {"configMap", "secret", "projected", "downwardAPI"} & set(volume):
            return self._kept.setdefault(name, Directory(mode=0o777, changed=self._now))
        sources = (volume.get("projected") or {}).get("sources") or [volume]
        files = {path: data for source in sources for path, data in self._files(source)}
        inner = Directory(changed=self._now, read_only=True)
        shown = Directory(mode=0o777, changed=self._now, read_only=True)
        for path, data in sorted(files.items()):
            _put(inner, path, File(data, 0o644, self._now))
            first = path.partition("/")[0]
            shown.entries[first] = Link(f"{_DATA}/{first}", self._now)
        shown.entries |= {self._stamp: inner, _DATA: Link(self._stamp, self._now)}
        return shown

    def _files(self, source: Object) -> Iterator[tuple[str, Contents]]:
        namespace = self._pod["metadata"].get("namespace", "")
        for field, kind in (("configMap", CONFIG_MAP), ("secret", SECRET)):
            if reference := source.get(field):
                name = reference.get("secretName") or reference.get("name", "")
                obj = self._store.get(kind, Key(namespace, name)) or {}
                keys = [*(obj.get("data") or {}), *(obj.get("binaryData") or {})]
                items = reference.get("items") or [{"key": key, "path": key} for key in keys]
                for item in items:
                    data = decoded({"kind": kind.kind, **obj}, item["key"])
                    if data is not None:
                        yield item["path"], data
        if account := source.get("serviceAccountToken"):
            seconds = int(account.get("expirationSeconds") or 3600)
            yield account["path"], lambda: self._token(seconds)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            if "fieldRef" in item:
                yield item["path"], field_of(self._pod, item["fieldRef"].get("fieldPath", "")).encode()
            elif "resourceFieldRef" in item:
                first = self._pod["spec"]["containers"][0]
                yield item["path"], resource_of(self._pod, first, item["resourceFieldRef"]).encode()


def _put(directory: Directory, path: str, file: File) -> None:
    *parents, name = path.split("/")
    for each in parents:
        inner = directory.entries.setdefault(each, Directory(changed=file.changed, read_only=True))
        if not isinstance(inner, Directory):
            return
        directory = inner
    directory.entries[name] = file
