"""When the heart beats, and what electrodes see of it."""
