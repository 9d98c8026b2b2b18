"""How good a voice is: measures beside recordings, reports, comparisons, listening tests."""
