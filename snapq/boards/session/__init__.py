"""One session with a board: push, run the agent, check what it answers."""
