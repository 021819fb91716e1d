"""Letters of 5 x 7 points, as scanners print them."""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH, ADVANCE = 7, 5, 6  # points of a letter, and from one letter to the next

# Five columns of each letter; the lowest bit is the top row.
_COLUMNS = {
    "0": "3E5149453E", "1": "00427F4000", "2": "4261514946", "3": "2141454B31", "4": "1814127F10",
    "5": "2745454539", "6": "3C4A494930", "7": "0171090503", "8": "3649494936", "9": "064949291E",
    "A": "7E1111117E", "B": "7F49494936", "C": "3E41414122", "D": "7F4141221C", "E": "7F49494941",
    "F": "7F09090901", "G": "3E4149497A", "H": "7F0808087F", "I": "00417F4100", "J": "2040413F01",
    "K": "7F08142241", "L": "7F40404040", "M": "7F020C027F", "N": "7F0408107F", "O": "3E4141413E",
    "P": "7F09090906", "Q": "3E4151215E", "R": "7F09192946", "S": "4649494931", "T": "01017F0101",
    "U": "3F4040403F", "V": "1F2040201F", "W": "3F4038403F", "X": "6314081463", "Y": "0708700807",
    "Z": "6151494543", ".": "0060600000", "-": "0808080808", ":": "0036360000", "/": "2010080402",
    "%": "2313086462", " ": "0000000000",
}  # fmt: skip


def letters(text: str, scale: int = 1) -> np.ndarray:
    """One line as bool [7 * scale, width]; small letters are printed as capitals, unknown ones as gaps."""
    line = np.zeros((HEIGHT, max(ADVANCE * len(text) - 1, 1)), bool)
    for k, letter in enumerate(text.upper()):
        columns = np.frombuffer(bytes.fromhex(_COLUMNS.get(letter, _COLUMNS[" "])), np.uint8)
        line[:, ADVANCE * k : ADVANCE * k + WIDTH] = (columns[None] >> np.arange(HEIGHT)[:, None]) & 1
    return line.repeat(scale, 0).repeat(scale, 1)
