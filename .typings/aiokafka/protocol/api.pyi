from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")

class Response:
    def to_object(self) -> dict[str, Any]: ...

class RequestStruct:
    FLEXIBLE_VERSION: ClassVar[bool]
    API_KEY: ClassVar[int]
    API_VERSION: ClassVar[int]
    def __init__(self, *values: Any) -> None: ...

class Request(Generic[T]):
    API_KEY: ClassVar[int]
    def build(self, request_struct_class: type[T]) -> T: ...
