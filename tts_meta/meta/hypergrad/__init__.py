"""Ways to turn an inner path into gradients of the meta-parameters (phi, log sigma^2)."""
