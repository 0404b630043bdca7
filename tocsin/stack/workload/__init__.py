"""The demo's app: a small shop whose jobs run on BullMQ, some of which fail, as jobs do.

Jobs come in at a gentle rate, are handled by workers in this process, and keep a bounded history in Redis. Nothing
here is real: addresses are of example domains and nobody is called.
"""
