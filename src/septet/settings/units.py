"""What a number among the settings is counted in, as `Meta.extra` has it."""

SECONDS = {"unit": "seconds"}
BYTES = {"unit": "bytes"}
DAYS = {"unit": "days"}
