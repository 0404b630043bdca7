from collections.abc import Sequence

class DescribeGroupsRequest:
    def __init__(self, groups: Sequence[str], include_authorized_operations: bool = False) -> None: ...
