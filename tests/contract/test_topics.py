"""proto/topics.yaml and the code agree on topics, messages, producers and consumers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from services.common import dead_letter
from services.common.topics import TOPICS_FILE, topic_names
from services.ledger import wire
from tests.contract.test_golden import MESSAGES

TOPICS: dict[str, dict[str, Any]] = yaml.safe_load(TOPICS_FILE.read_text())["topics"]
SERVICES = ("ledger", "tiering", "rewards")
ROOT = Path(__file__).parents[2]


def test_every_topic_says_who_writes_and_who_reads_it() -> None:
    assert list(TOPICS) == topic_names()
    for topic in TOPICS.values():
        assert set(topic) == {"messages", "key", "producer", "consumers"}
        assert topic["key"] in ("member", "place", "number")
        assert set(topic["consumers"]) <= set(SERVICES)


def test_every_named_message_is_in_the_contracts() -> None:
    packages = {name.rpartition(".")[0] for name in MESSAGES}
    for name, topic in TOPICS.items():
        if name == dead_letter.TOPIC:
            continue
        for message in topic["messages"]:
            if message.endswith(".*"):
                assert message.removesuffix(".*") in packages
            else:
                assert message in MESSAGES


def test_the_ledger_reads_the_activities_that_the_topics_carry() -> None:
    carried = {m for t in TOPICS.values() for m in t["messages"] if m.startswith("tallybook.activities.")}
    assert carried == set(wire.ACTIVITY_TYPES)


def test_each_service_names_the_topics_that_it_reads_and_writes() -> None:
    for name, topic in TOPICS.items():
        for service in topic["consumers"]:
            assert f'"{name}"' in source_of(service), f"{service} does not read {name}"
    for service in SERVICES:
        own = f"{'tiers' if service == 'tiering' else service}.v1"
        assert TOPICS[own]["producer"] == service
        assert f'"{own}"' in source_of(service)


def source_of(service: str) -> str:
    """Everything that a service's package says."""
    return "".join(file.read_text() for file in sorted((ROOT / "services" / service).rglob("*.py")))


def test_the_dead_letters_have_a_topic() -> None:
    assert TOPICS[dead_letter.TOPIC]["key"] == "place"
