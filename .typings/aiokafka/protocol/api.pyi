from io import BytesIO
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")

class Response:
    def to_object(self) -> dict[str, Any]: ...

class ResponseHeader_v0:
    @classmethod
    def decode(cls, data: BytesIO | bytes) -> ResponseHeader_v0: ...

class ResponseHeader_v1(ResponseHeader_v0): ...

class RequestStruct:
    FLEXIBLE_VERSION: ClassVar[bool]
    API_KEY: ClassVar[int]
    API_VERSION: ClassVar[int]
    def __init__(self, *values: Any) -> None: ...
    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0 | ResponseHeader_v1: ...

class Request(Generic[T]):
    API_KEY: ClassVar[int]
    def build(self, request_struct_class: type[T]) -> T: ...
