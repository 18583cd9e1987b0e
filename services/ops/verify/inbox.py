"""L4: every request that was taken stands in the inbox beside the row that it led to, and the other way round."""

from __future__ import annotations

import zlib
from typing import Any

from google.protobuf.message import DecodeError

from services.ops.verify.findings import Findings
from tallybook.ledger.v1 import events_pb2 as pb

INBOX = """
SELECT position, chain, source, event_id, digest, member, rejection
FROM inbox WHERE journal_chain = $1 ORDER BY position
"""
REUSED = ("id_reused", "exists_with_different_")
"""Beginnings of refusals that leave the inbox as it is: the id belongs to the request that came first."""


def check_request(chain: int, chains: int, row: Any, requests: list[Any], found: Findings) -> None:
    """A journal row, and the inbox rows that point at it."""
    where = f"journal {chain}-{row['position']}"
    code = rejection_of(row)
    if row["cause_digest"] is None or (code is not None and code.startswith(REUSED)):
        for request in requests:
            found.add("L4", name_of(request), f"points at {where}, which no request of its own led to")
        return
    if not requests:
        found.add("L4", where, f"request {row['cause_source']} {row['cause_id']} is not in the inbox")
    for request in requests:
        _compare(chains, row, request, code, where, found)
    for request in requests[1:]:
        found.add("L4", name_of(request), f"a second request points at {where}")


def check_strays(chain: int, strays: dict[int, list[Any]], found: Findings) -> None:
    """Inbox rows at positions where the journal has none."""
    for position, requests in strays.items():
        for request in requests:
            found.add("L4", name_of(request), f"points at journal {chain}-{position}, which is not there")


def rejection_of(row: Any) -> str | None:
    """The code of a recorded rejection, or `parked`; None for every other row, and where the payload can't be read."""
    if row["type"] == "ActivityParked":
        return "parked"
    if row["type"] != "ActivityRejected":
        return None
    try:
        return str(pb.ActivityRejected.FromString(row["payload"]).code)
    except DecodeError:
        return None


def name_of(request: Any) -> str:
    """An inbox row's place in words."""
    return f"inbox {request['chain']} {request['source']} {request['event_id']}"


def _compare(chains: int, row: Any, request: Any, code: str | None, where: str, found: Findings) -> None:
    name = name_of(request)
    if (request["source"], request["event_id"]) != (row["cause_source"], row["cause_id"]):
        found.add("L4", name, f"{where} was caused by {row['cause_source']} {row['cause_id']}")
    if request["digest"] != row["cause_digest"]:
        found.add("L4", name, f"its digest is not that of {where}")
    if request["rejection"] != code:
        found.add("L4", name, f"rejection is {request['rejection']}, {where} says {code}")
    # A refusal may concern somebody who is no member: then the row names nobody.
    if request["member"] != row["member"] and not (code is not None and row["member"] is None):
        found.add("L4", name, f"member is {request['member']}, {where} says {row['member']}")
    place = zlib.crc32(f"{request['source']}/{request['event_id']}".encode()) % chains
    if request["chain"] != place:
        found.add(
            "L4", name, f"is kept on chain {request['chain']}, where nobody looks: it belongs on {place}"
        )
