"""Runs a package on a board: what goes there (`push`), what runs there (`onboard`), what is found.

`program` starts one of the programs of `onboard` over a transport; `measure` drives the agent.
"""
