from io import BytesIO
from typing import Any

Boolean: Any
CompactString: Any
Int16: Any
Int32: Any
Int64: Any
TaggedFields: Any

class String:
    def __init__(self, encoding: str) -> None: ...

class Schema:
    def __init__(self, *fields: tuple[str, Any]) -> None: ...

class Array:
    def __init__(self, *of: Any) -> None: ...

class CompactArray:
    def __init__(self, *of: Any) -> None: ...
    def encode(self, items: Any) -> bytes: ...
    def decode(self, data: BytesIO) -> Any: ...
