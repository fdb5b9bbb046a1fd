"""What errors say can always be sent."""

from septet.errors import Invalid, Problem


def test_half_a_surrogate_pair_is_shown_as_its_escape() -> None:
    error = Invalid(
        "The input '\ud800é' is unknown.", (Problem(0, "\ud800", "é", "'\udfff'"), Problem(None, None, "a", "b"))
    )
    assert error.message == "The input '\\ud800é' is unknown."
    assert error.problems == (Problem(0, "\\ud800", "é", "'\\udfff'"), Problem(None, None, "a", "b"))
