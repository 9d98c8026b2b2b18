"""The learning core: partition, prior, task, solvers, hypergradients, algorithms, trainer."""
