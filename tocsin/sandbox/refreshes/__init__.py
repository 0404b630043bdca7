"""`python -m tocsin.sandbox.refreshes`: a stand-in for `/ws` that makes its messages up, and a page that shows them.

For people who write a page against `/ws` and have no queues at hand. On loopback only; it reads and writes nothing.
"""
