"""How a board is reached: one file a way, each with the same four verbs (connect, run, put, get).

`base` says what a transport is, and turns an address such as `ssh://root@board` into one.
"""
