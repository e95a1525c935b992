"""The command line: parses, calls the API, prints. No logic, and no heavy import before use."""
