"""The services' public APIs as the command line calls them: JSON in and out, problems as errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from services.ops.install import SERVICES
from services.ops.local.stack import Stack
from services.ops.local.state import StackState

REQUEST_SECONDS = 60.0


class ApiError(Exception):
    """A service refused a request; `code` is stable, `detail` says what to do."""

    def __init__(self, status: int, code: str, detail: str, where: str) -> None:
        super().__init__(f"{where}: {status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class UnreachableError(Exception):
    """A service does not answer."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an installation is, and a key that may do everything there."""

    ledger: str
    tiering: str
    rewards: str
    bootstrap: str
    chains: int
    topic_prefix: str
    key: str = field(repr=False)
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Base URLs of further processes of a service, each of which has taken some of its partitions."""

    def url(self, service: str) -> str:
        """The base URL of `ledger`, `tiering` or `rewards`."""
        return {"ledger": self.ledger, "tiering": self.tiering, "rewards": self.rewards}[service]


def endpoints_of(stack: Stack) -> Endpoints:
    """Where a running stack is. Raises NoStack before its first `up`."""
    state = stack.state
    return Endpoints(
        stack.url("ledger"),
        stack.url("tiering"),
        stack.url("rewards"),
        state.bootstrap,
        state.chains,
        state.topic_prefix,
        state.ops_key,
        {service: _extras(state, service) for service in SERVICES},
    )


def _extras(state: StackState, service: str) -> tuple[str, ...]:
    return tuple(
        process.url
        for name, process in state.services.items()
        if name.startswith(f"{service}-") and process.process is not None and process.process.alive()
    )


class Api:
    """An HTTP client for the three services; use it as an async context manager."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._http = httpx.AsyncClient(
            timeout=REQUEST_SECONDS,
            headers={"Authorization": f"Bearer {endpoints.key}"},
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, service: str, path: str, **query: str | int) -> Any:
        """GET; the body. Raises ApiError, UnreachableError."""
        return await self._send(service, "GET", path, params=query)

    async def post(self, service: str, path: str, body: Any, idempotency_key: str | None = None) -> Any:
        """POST; the answer's body. Raises ApiError, UnreachableError."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return await self._send(service, "POST", path, json=body, headers=headers)

    async def put(self, service: str, path: str, body: Any) -> Any:
        """PUT; the answer's body. Raises ApiError, UnreachableError."""
        return await self._send(service, "PUT", path, json=body)

    async def facts(self, service: str) -> dict[str, Any]:
        """`/health/ready` of a service; `consumers` has the partitions of all its processes.

        Raises:
            UnreachableError: a process does not answer, or is not ready.
        """
        facts: dict[str, Any] = {}
        for url in (self.endpoints.url(service), *self.endpoints.extras.get(service, ())):
            response = await self._request(service, "GET", "/health/ready", base=url)
            if not response.is_success:
                raise UnreachableError(f"{service} at {url} is not ready: {response.text[:200]}")
            one = response.json()
            facts = {**one, "consumers": {**facts.get("consumers", {}), **one["consumers"]}}
        return facts

    async def _send(self, service: str, method: str, path: str, **more: Any) -> Any:
        response = await self._request(service, method, path, **more)
        if response.is_success:
            return response.json()
        where = f"{method} {service} {path}"
        try:
            problem = response.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            code, detail = "no_problem_document", response.text[:500]
        raise ApiError(response.status_code, code, detail, where)

    async def _request(
        self, service: str, method: str, path: str, base: str = "", **more: Any
    ) -> httpx.Response:
        url = base or self.endpoints.url(service)
        try:
            return await self._http.request(method, url + path, **more)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{service} at {url} does not answer ({error!r})") from error
