"""Inner-loop solvers: TaskLoss + prior -> Path."""
