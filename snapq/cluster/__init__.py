"""Work on a Dask cluster that exists, or on Dask workers of this machine.

Whoever wants more machines gets an existing engine. This package hands it tasks and files, brings
back what comes of them, and refuses workers that would compute something else.
"""
