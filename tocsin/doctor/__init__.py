"""`tocsin doctor`: looks at everything Tocsin needs, with the services' own environment, before any service runs.

Every finding says what was checked, what was found and the command that mends it. All checks run at once, each with a
deadline; together they take less than 10 seconds. Nothing is written to any server, no secret is printed.
"""

from tocsin.doctor.finding import Finding, Verdict
from tocsin.doctor.run import examine, run_doctor

__all__ = ["Finding", "Verdict", "examine", "run_doctor"]
