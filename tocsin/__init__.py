"""What the services of Tocsin share: the wire contract, settings, lifecycle, and the command line.

Nothing here knows the business of one service; no service is imported from here.
"""

__version__ = "0.1.0"
