"""TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble.

raw         their attributes as arrays
structure   from listed nodes to trees of distinct conditions
values      what leaves add, and which classes they have a weight for
nodes       the readers of the three operators
"""
