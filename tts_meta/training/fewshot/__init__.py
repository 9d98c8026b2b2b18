"""Few-shot domains that validate the learning core: sinusoids, hierarchical Gaussians, images."""
