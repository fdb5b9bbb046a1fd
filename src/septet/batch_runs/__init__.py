"""Batch runs: a model over a whole table, planned in units, each of which is done exactly once."""
