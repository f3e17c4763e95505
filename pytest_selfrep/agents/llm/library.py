"""litellm, imported when a model is first used, with its habits of fetching things switched off."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, metadata
from typing import Any, Final

from pytest_selfrep.errors import AgentError, UnknownModel

POISONED: Final = ("1.82.7", "1.82.8")
"""Releases that sent out what they found of credentials."""

_HABITS: Final = {
    # Else it takes variables from a file .env.
    "LITELLM_MODE": "PRODUCTION",
    # Else it fetches a list of prices.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
_IMPORTING = threading.Lock()


def litellm() -> Any:
    """The module, which has no types worth speaking of.

    Raises:
        AgentError: it is not installed, cannot be imported, or is a release that must not be.
    """
    with _IMPORTING:
        _require_sound()
        try:
            with _without_habits(), unwarned():
                found: Any = import_module("litellm")
        except ImportError as error:
            raise AgentError(
                f"litellm cannot be imported ({error}): pip install 'pytest-selfrep[llm]'"
            ) from error
        # What goes wrong is said where it happened; litellm would print it into the report besides.
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
        found.suppress_debug_info = True
        found.telemetry = False
        # Else it fetches tokenizers to count what a server has not counted.
        found.disable_hf_tokenizer_download = True
        found.disable_token_counter = True
        return found


class _Unwarned:
    """How many are at work in litellm. Which warnings are shown is a matter of the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._filter: tuple[object, ...] = ()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Its own warnings are nothing to the user, and no failures where pytest makes errors of warnings."""
        with self._lock:
            if self._within == 0:
                warnings.simplefilter("ignore")
                self._filter = tuple(warnings.filters[0])
            self._within += 1
        try:
            yield
        finally:
            with self._lock:
                self._within -= 1
                if self._within == 0:
                    with suppress(ValueError):
                        # pytest may have put its own in the place of all meanwhile.
                        warnings.filters.remove(self._filter)  # type: ignore[attr-defined]


unwarned: Final = _Unwarned()


def _require_sound() -> None:
    try:
        version = metadata.version("litellm")
    except metadata.PackageNotFoundError:
        raise UnknownModel(
            "models are asked through litellm, which is not installed: pip install 'pytest-selfrep[llm]'"
        ) from None
    if version in POISONED:
        raise AgentError(
            f"litellm {version} stole credentials and is not imported: uninstall it, change the keys of this"
            " machine, and pip install 'pytest-selfrep[llm]'"
        )


@contextmanager
def _without_habits() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _HABITS}
    os.environ.update(_HABITS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
