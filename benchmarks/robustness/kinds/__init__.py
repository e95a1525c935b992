"""One file a kind of broken input; its name is the kind's.

A kind has a function `draw(random, folder)` that writes the files of one case into `folder` and
returns the `Case`. It may have `prepare(shared)`, which is called once with a folder that all cases
share, before the first `draw`; that folder is `folder.parent / "shared"`.
"""
