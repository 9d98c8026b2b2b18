"""Networks and likelihoods, as functions of their parameters."""
