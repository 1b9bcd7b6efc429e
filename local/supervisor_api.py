"""The part of supervisor's XML-RPC that a stack uses, with a time limit on every call."""

import http.client
import xmlrpc.client
from dataclasses import dataclass
from typing import Any

USER = "mimamori"


@dataclass(frozen=True)
class Program:
    """What supervisor says of a program; `started` and `now` are its clock, in epoch seconds."""

    name: str
    state: str
    pid: int
    started: int
    now: int
    detail: str


class _Transport(xmlrpc.client.Transport):
    seconds = 30.0  # longer than any program's own time to stop

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self.seconds
        return connection


class _QuickTransport(_Transport):
    seconds = 5.0


@dataclass(frozen=True)
class Supervisor:
    """A running supervisor on 127.0.0.1; every call raises OSError or xmlrpc.client.Error."""

    port: int
    password: str

    def _call(self, method: str, *arguments: object, quick: bool = False) -> Any:
        url = f"http://{USER}:{self.password}@127.0.0.1:{self.port}/RPC2"
        transport = _QuickTransport() if quick else _Transport()
        try:
            with xmlrpc.client.ServerProxy(url, transport=transport) as proxy:
                return getattr(proxy, method)(*arguments)
        except http.client.HTTPException as error:
            raise ConnectionError(f"supervisor on port {self.port}: {error!r}") from error

    def pid(self) -> int:
        """Return the supervisor's own process id, within 5 s."""
        return int(self._call("supervisor.getPID", quick=True))

    def programs(self) -> dict[str, Program]:
        """Return all programs, by name."""
        rows = self._call("supervisor.getAllProcessInfo")
        found = (
            Program(r["name"], r["statename"], r["pid"], r["start"], r["now"], r["description"])
            for r in rows
        )
        return {program.name: program for program in found}

    def start(self, name: str) -> None:
        """Start a program and return at once."""
        self._call("supervisor.startProcess", name, False)  # noqa: FBT003

    def stop(self, name: str) -> None:
        """Stop a program and wait until it is gone."""
        self._call("supervisor.stopProcess", name, True)  # noqa: FBT003

    def reload(self) -> list[str]:
        """Read the configuration anew, restart what changed in it, and return those names."""
        [[added, changed, removed]] = self._call("supervisor.reloadConfig")
        for name in [*changed, *removed]:
            self._call("supervisor.stopProcessGroup", name, True)  # noqa: FBT003
            self._call("supervisor.removeProcessGroup", name)
        for name in [*changed, *added]:
            self._call("supervisor.addProcessGroup", name)
        return [*changed, *added]

    def shutdown(self) -> None:
        """Tell it to stop its programs and itself; returns at once."""
        self._call("supervisor.shutdown")
