"""The three roles: a viewer reads, an operator acts on jobs, an admin manages who may."""

from enum import StrEnum


class Role(StrEnum):
    """Each covers those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether who has this role may do what needs the other."""
        return _RANK[self] >= _RANK[needed]


_RANK = {role: rank for rank, role in enumerate(Role)}


def least(one: Role, other: Role) -> Role:
    """The lesser of two roles."""
    return one if other.covers(one) else other
