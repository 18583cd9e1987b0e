"""The machine of the ledger's core with members who are merged, and activities that wait for theirs.

Interactions and referrals are left to the other machine; tests/unit/test_merge.py says what a merge does to them.
"""

from __future__ import annotations

from tests.simulation.merge_rules import MergeRules
from tests.simulation.parking_rules import ParkingRules
from tests.simulation.test_ledger_machine import SETTINGS, CoreMachine


class MergeMachine(MergeRules, ParkingRules, CoreMachine):
    """Whatever a member has, goes on as the survivor's."""


TestMergeMachine = MergeMachine.TestCase
TestMergeMachine.settings = SETTINGS
