"""Measuring models: what the tokenizer loses, what the measurer misses, and whether a generated heart obeys its ECG.

`runner.evaluate` runs it all; `keys.KEYS` says what every figure means. Each figure is a median or mean over clips or
heart cycles, with how many went in (`.n`) and how many gave nothing (`.missing`).
"""
