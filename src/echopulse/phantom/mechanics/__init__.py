"""What the chambers do: volumes, valves, twist and their timing, beat after beat."""
