"""Is the phantom what it claims to be? Every acceptance figure of its physics, pictures, ECG and speed, with its bar.

`check.check_phantom` draws the hearts, measures them with the pure functions of the other modules and gives one row
per figure; `rows` prints them. The clips are drawn anew, from the prior that training uses.
"""

from echopulse.evaluate.phantom.check import check_phantom
from echopulse.evaluate.phantom.rows import Row, as_json, as_table, missed

__all__ = ["Row", "as_json", "as_table", "check_phantom", "missed"]
