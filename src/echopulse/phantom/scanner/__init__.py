"""The simulated scanner: what a beam makes of tissue, and what the machine prints around it."""
