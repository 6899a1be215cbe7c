"""What operations on many guests are made of: names by pattern, and which system each new guest goes to.

Pure functions; the operations are in ``manager/operations/bulk.py``, the jobs in ``manager/jobs/trees.py``.
"""
