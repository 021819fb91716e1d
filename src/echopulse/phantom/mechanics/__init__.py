"""What the chambers do: volumes, valves, twist and their timing, beat after beat."""

from echopulse.phantom.mechanics.parameters import MechanicsParameters, draw_mechanics
from echopulse.phantom.mechanics.pump import BeatTimes, contract, valve_times

__all__ = ["BeatTimes", "MechanicsParameters", "contract", "draw_mechanics", "valve_times"]
