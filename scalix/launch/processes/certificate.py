"""The certificate in force: kept in the launcher's memory, given to the workers, and renewed while they serve."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.file_watch import FileWatch
from scalix.launch.settings.tls import KeyPair, TlsSettings, UnfitKeyPair, read_key_pair

COPY = "certificate.pem"
FD_VARIABLE = "SCALIX_TLS_FD"


class Certificate:
    """What the workers speak TLS by; nothing without `tls`. They read it from `fd`, which is memory and no file of any
    disk: so a worker that starts while a renewal is broken has the certificate that the others have.

    `copy` is a file with the public part, by which commands on this machine trust the gateway. What is in force, and
    each change of it, is told by `say`. `clock` gives seconds, monotonic. Raises `LaunchError`.
    """

    def __init__(
        self,
        tls: TlsSettings | None,
        state_dir: Path,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tls = tls
        self._say = say
        self._leaf = b""
        self._trouble = ""
        self._pair: KeyPair | None = None
        self.fd = None if tls is None else os.memfd_create("scalix-certificate", 0)
        self.copy = None if tls is None else state_dir / COPY
        self._files = () if tls is None else (tls.certificate, tls.private_key)
        self._watch = FileWatch(self._files, clock)
        try:
            self._take()
        except UnfitKeyPair as error:
            raise LaunchError((Problem(error.name, error.what, error.fix),)) from None
        if self._pair is not None:
            say(self.state)

    @property
    def state(self) -> str:
        """What is in force, and what is wrong with the files as they are now; empty without TLS."""
        told = self._pair.description if self._pair else ""
        return f"{told}; the renewed one is not taken: {self._trouble}" if self._trouble else told

    @property
    def noted(self) -> dict[str, Any]:
        """What the run file has of it."""
        return {"certificate": str(self.copy), "certificate_state": self.state} if self.copy else {}

    def look(self, *, now: bool = False) -> bool:
        """Take a renewed certificate, once its files have stood still for a look, or `now`. Returns whether anything
        has changed."""
        if not self._watch.has_changed(self._files, now=now):
            return False
        self._trouble = ""
        try:
            self._take()
            self._say(f"renewed: {self.state}")
        except UnfitKeyPair as error:
            self._trouble = str(error)
            self._say(f"ERROR {self.state}")
        return True

    def _take(self) -> None:
        if self._tls is None or self.copy is None or self.fd is None:
            return
        self._pair = pair = read_key_pair(self._tls)
        # The one before stays trusted on this machine: for a moment workers still have it.
        before, self._leaf = self._leaf, b"".join(pair.chain.partition(b"-----END CERTIFICATE-----\n")[:2])
        draft = self.copy.with_suffix(".new")
        draft.write_bytes(self._leaf + (before if before != self._leaf else b""))
        draft.replace(self.copy)
        os.pwrite(self.fd, pair.secret, 0)
        os.ftruncate(self.fd, len(pair.secret))
