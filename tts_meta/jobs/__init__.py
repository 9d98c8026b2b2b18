"""A clone as a job: a folder, a state file, a process of its own. The command line and the page only watch it."""
