"""Answers to auditors as tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Told = dict[str, Any]
"""An answer, in the form that HTTP and `--json` give."""


def member_as_of(console: Console, found: Told) -> None:
    """What a member had: points, money, lots, holds; then what tiering and rewards say."""
    told, tiering, rewards = found["ledger"], found["tiering"], found["rewards"]
    console.print(
        f"[bold]{escape(told['member'])}[/] in {told['program']} at {_when(told['at'])} by {told['by']} time: "
        f"{told['rows']} rows, the last {told['chain']}:{told['position']}",
        soft_wrap=True,
    )
    _who(console, told)
    if tiering is not None:
        until = f", until {_when(tiering['until'])}" if tiering["until"] else ""
        since = f" since {_when(tiering['since'])}" if tiering["since"] else ""
        rule = f", {tiering['rule']}" if tiering["rule"] else ""
        console.print(
            escape(f"tier {tiering['tier']}{since}{until}: {tiering['reason']}{rule}"), soft_wrap=True
        )
        if tiering["segments"] is not None:
            parts = tiering["segments"]
            tags = f", tags {', '.join(parts['tags'])}" if parts["tags"] else ""
            console.print(escape(f"segments {parts['lifecycle']}, {parts['class']}{tags}"), soft_wrap=True)
    _balance(console, told)
    left_out = told["lots_in_all"] - len(told["lots"])
    _lots(console, told["lots"], f"... and {left_out} more lots" if left_out else "")
    for hold in told["holds"]:
        coins = hold["money"]
        parts = [f"{hold['left']} of {hold['amount']} points"] if hold["amount"] or coins is None else []
        parts += [f"{coins['left']} of {coins['amount']} {coins['currency']} minor units"] if coins else []
        text = f"held: {' and '.join(parts)} for order {hold['order']}, until {_when(hold['expires_at'])}"
        console.print(escape(f"{text} (hold {hold['hold']})"), soft_wrap=True)
    if rewards is not None:
        _rewards(console, rewards)


def accounts(console: Console, found: Told) -> None:
    """A line an account and asset."""
    table = _table("account", "asset", "balance", right=("balance",))
    for row in found["accounts"]:
        table.add_row(row["account"], row["asset"], f"{row['balance']:,}")
    console.print(
        f"[bold]{found['program']}[/] at {_when(found['at'])} by {found['by']} time", soft_wrap=True
    )
    console.print(table)


def member_explained(console: Console, found: Told) -> None:
    """The balance, the lots that it is in, why the tier is what it is, and the rows, newest first."""
    told, tiering = found["ledger"], found["tiering"]
    console.print(
        f"[bold]{escape(told['member'])}[/] in {told['program']}, chain {told['chain']}", soft_wrap=True
    )
    _who(console, told)
    _balance(console, told)
    _lots(console, told["lots"])
    for change in tiering["entries"] if tiering else ():
        rule = f", {change['rule']}" if change["rule"] else ""
        rows = ", ".join(f"{told['chain']}:{position}" for position in change["positions"][-5:])
        behind = f"; rows {rows}" if rows else ""
        held = f"; it held {change['metric']}" if change["threshold"] else ""
        console.print(
            escape(
                f"tier {change['from_tier']} -> {change['to_tier']} at {_when(change['since'])}: "
                f"{change['reason']}{rule}{held}{behind}"
            ),
            soft_wrap=True,
        )
    _entries(console, told["entries"], balances=True)
    if told["next"]:
        console.print(f"older rows: --before {told['next']}", style="dim")


def order_explained(console: Console, found: Told) -> None:
    """What an order earned and cost in points, its lots and its rows, oldest first; then what rewards did for it."""
    if found["ledger"] is not None:
        _order_in_ledger(console, found["ledger"])
    if found["rewards"] is None:
        return
    console.print(f"[bold]rewards[/] for order {escape(found['rewards']['order'])}", soft_wrap=True)
    _vouchers_and_redemptions(console, found["rewards"])
    table = _table("row", "occurred", "member", "what")
    for row in found["rewards"]["entries"]:
        table.add_row(
            f"{row['chain']}:{row['position']}", _when(row["occurred_at"]), escape(row["member"]), row["type"]
        )
    console.print(table)


def _order_in_ledger(console: Console, found: Told) -> None:
    people = ", ".join(found["members"]) or "nobody"
    console.print(
        f"[bold]order {escape(found['order'])}[/] of {escape(people)} in {found['program']}: "
        f"earned {found['earned']}, taken back {found['taken_back']}; spent {found['spent']}, "
        f"given back {found['given_back']} points",
        soft_wrap=True,
    )
    for currency, money in found["money"].items():
        console.print(
            f"stored value: spent {money['spent']}, given back {money['given_back']} {currency} minor units",
            soft_wrap=True,
        )
    _lots(console, found["lots"])
    _entries(console, found["entries"])
    left_out = found["entries_in_all"] - len(found["entries"])
    if left_out:
        console.print(f"... and {left_out} more rows", style="dim")


def position_explained(console: Console, found: Told) -> None:
    """A row, field by field, then the others of its request."""
    found = found["ledger"]
    whose = f" of {found['member']}" if found["member"] else ""
    console.print(
        f"[bold]{found['chain']}:{found['position']} {found['type']}[/]{escape(whose)} in {found['program']}",
        soft_wrap=True,
    )
    facts = {
        "occurred": found["occurred_at"],
        "recorded": found["recorded_at"],
        "cause": f"{found['cause']['source']} {found['cause']['id']}",
        "version": found["program_version"] or "-",
        "purchase at": found["purchase_at"] or "-",
        "hash": found["hash"],
    }
    for name, fact in facts.items():
        console.print(escape(f"  {name:<12}{fact}"), soft_wrap=True)
    _entries(console, [found])
    if found["lot"] is not None:
        _lots(console, [found["lot"]])
    console.print_json(json.dumps(found["says"]))
    if found["same_request"]:
        console.print("of the same request:", style="dim")
        _entries(console, found["same_request"])


def _who(console: Console, told: Told) -> None:
    facts = [told["status"], f"enrolled {_when(told['enrolled_at'])}"]
    facts += [f"merged into {told['merged_into']}"] if told["merged_into"] else []
    facts += [f"with {', '.join(told['absorbed'])} merged into it"] if told["absorbed"] else []
    facts += [f"points lapse {_when(told['lapses_at'])}"] if told["lapses_at"] else []
    console.print(escape(", ".join(facts)), soft_wrap=True)


def _balance(console: Console, told: Told) -> None:
    table = _table(
        "",
        "available",
        "posted",
        "held",
        "debt",
        "pending",
        right=("available", "posted", "held", "debt", "pending"),
    )
    points = told["points"]
    table.add_row(
        "points", *(f"{points[name]:,}" for name in ("available", "posted", "held", "debt", "pending"))
    )
    console.print(table)
    for currency, money in told["money"].items():
        parts = ", ".join(f"{name} {amount:,}" for name, amount in money.items())
        console.print(f"{currency} minor units: {parts}", soft_wrap=True)


def _lots(console: Console, lots: Sequence[Told], more: str = "") -> None:
    """Lots, the last column being why they are there where the answer says it, else what they came from."""
    if not lots:
        return
    last = "because" if "because" in lots[0] else "from"
    table = _table(
        "lot", "asset", "left", "of", "held", "earned", "expires", last, right=("left", "of", "held")
    )
    for lot in lots:
        because = lot.get("because") or lot["from"]
        rules = [f"{rule['rule']}: {rule['arithmetic']}" for rule in lot.get("rules", ())]
        pending = f" (pending until {_when(lot['matures_at'])})" if lot["matures_at"] else ""
        table.add_row(
            str(lot["lot"]), lot["asset"], f"{lot['remaining']:,}", f"{lot['amount']:,}", f"{lot['held']:,}",
            _when(lot["earned_at"]), _when(lot["expires_at"]) + pending, _lines([because], rules),
        )  # fmt: skip
    console.print(table)
    if more:
        console.print(more, style="dim")


def _entries(console: Console, entries: Iterable[Told], *, balances: bool = False) -> None:
    columns = ("row", "occurred", "points", *(("balance",) if balances else ()), "what")
    table = _table(*columns, right=("points", "balance"))
    for entry in entries:
        why = [f"{rule['rule']}: {rule['arithmetic']}" for rule in entry["rules"]]
        why += [f"under version {entry['details']['version']}"] if entry["details"].get("version") else []
        why += [f"note: {entry['details']['note']}"] if entry["details"].get("note") else []
        why += [_posting(posting) for posting in entry["postings"]]
        cells = [f"{entry['chain']}:{entry['position']}", _when(entry["occurred_at"])]
        cells.append(f"{entry['points']:+,}" if entry["points"] else "")
        cells += [f"{entry['balance_after']['points']:,}"] if balances else []
        table.add_row(*cells, _lines([entry["text"]], why))
    console.print(table)


def _rewards(console: Console, told: Told) -> None:
    _vouchers_and_redemptions(console, told)
    for draw in told["draws"]:
        console.print(
            f"draw {draw['draw']}: {draw['tickets']} tickets, {draw['turns']} turns", soft_wrap=True
        )
    for award in told["awards"]:
        console.print(
            escape(f"{award['points']} points {award['state']} for {award['source']} {award['source_id']}"),
            soft_wrap=True,
        )


def _vouchers_and_redemptions(console: Console, told: Told) -> None:
    if told["vouchers"]:
        table = _table("voucher", "reward", "state", "issued", "expires")
        for voucher in told["vouchers"]:
            table.add_row(
                voucher["voucher"], escape(voucher["name"] or voucher["reward"]), voucher["state"],
                _when(voucher["issued_at"]), _when(voucher["expires_at"]),
            )  # fmt: skip
        console.print(table)
    if told["redemptions"]:
        table = _table("redemption", "reward", "state", "points", "order", "since", right=("points",))
        for redemption in told["redemptions"]:
            table.add_row(
                escape(redemption["redemption"]), escape(redemption["name"] or redemption["reward"]),
                redemption["state"], f"{redemption['points']:,}", escape(redemption["order"]),
                _when(redemption["changed_at"]),
            )  # fmt: skip
        console.print(table)


def _posting(posting: Told) -> str:
    lot = "debt" if posting["lot"] is None else f"lot {posting['lot']}"
    return f"{posting['debit']} -> {posting['credit']}: {posting['amount']:,} {posting['asset']}, {lot}"


def _lines(first: list[str], dim: list[str]) -> str:
    return "\n".join([*map(escape, first), *(f"[dim]  {escape(line)}[/]" for line in dim)])


def _table(*names: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(*names, box=None, pad_edge=False)
    for column in table.columns:
        if column.header in right:
            column.justify = "right"
    return table


def _when(time: str | None) -> str:
    """A time of an answer, to the second, in UTC; a dash for none."""
    return "-" if time is None else time[:19] + "Z"
