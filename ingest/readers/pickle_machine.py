"""An interpreter of pickles that builds descriptions and runs nothing.

A pickle is a program. This machine knows the instructions that a PyTorch checkpoint needs and no others; a global is a
name on a list and never an import; a call is one of a few that are described here and never made. So nothing of the
pickle's runs, whatever it says.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from graph_schema.errors import FormatError, UnsafeFileError

PICKLE_LIMIT = 64 << 20
"""Bytes of a pickle that are interpreted; values lie elsewhere, so that real ones are far smaller."""

MEMO_LIMIT = 2_000_000

DTYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "UntypedStorage": "U8",
    "float64": "F64",
    "double": "F64",
    "float32": "F32",
    "float": "F32",
    "float16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "long": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
}
"""Storages and dtypes of torch by name, in the names of safetensors."""

_CALLS = frozenset(
    {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_parameter_with_state"),
        ("torch", "Size"),
        ("torch", "device"),
        ("_codecs", "encode"),
        ("torch.serialization", "_get_layout"),
    }
)


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle refers to; nothing is imported."""

    module: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A run of values that a checkpoint keeps beside its pickle."""

    key: str
    dtype: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StridedTensor:
    """A view of a storage; offset and strides count values."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Marks a place on the stack."""


_MARK = _Mark()


class PickleMachine:
    """Interprets one pickle after the other from the same bytes.

    Parameters
    ----------
    content : bytes
        The pickles, from the first one on.
    where : str
        File, for messages.
    """

    def __init__(self, content: bytes, *, where: str) -> None:
        self._stream = BytesIO(content)
        self._where = where
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}

    @property
    def position(self) -> int:
        """Bytes interpreted so far."""
        return self._stream.tell()

    def load(self) -> object:
        """Interpret the next pickle.

        Returns
        -------
        object
            None, numbers, strings, bytes, lists, tuples, dicts, `Storage` and `StridedTensor`.

        Raises
        ------
        UnsafeFileError
            If it refers to, or calls, anything that a checkpoint of tensors does not need.
        FormatError
            If it is no pickle, or ends early.
        """
        self._stack, self._memo = [], {}
        try:
            for opcode, argument, _ in pickletools.genops(self._stream):
                if opcode.name == "STOP":
                    return self._value(self._stack.pop())
                self._step(opcode.name, argument)
        except (UnsafeFileError, FormatError):
            raise
        except Exception as error:  # a damaged pickle fails in as many ways as there are instructions
            raise FormatError(f"pickle is damaged: {str(error)[:120]}", where=self._where) from error
        raise FormatError("pickle ends early", where=self._where, remedy="fetch it again")

    def _step(self, name: str, argument: object) -> None:
        stack = self._stack
        if name in _IGNORED:
            return
        if name in _LITERALS:
            stack.append(_LITERALS[name]() if argument is None else argument)
        elif name in _ARGUMENTS:
            stack.append(argument)
        elif name in _STACK:
            _STACK[name](self)
        elif name in {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}:
            if len(self._memo) >= MEMO_LIMIT:
                raise UnsafeFileError("pickle remembers too many objects", where=self._where)
            key = len(self._memo) if name == "MEMOIZE" else argument
            self._memo[key] = stack[-1]  # type: ignore[index]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(self._memo[argument])  # type: ignore[index]
        elif name in {"GLOBAL", "STACK_GLOBAL"}:
            self._push_global(name, argument)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        else:
            raise UnsafeFileError(f"pickle uses the instruction {name}, which no tensor needs", where=self._where)

    def _push_global(self, opcode: str, argument: object) -> None:
        module: object
        name: object
        if opcode == "GLOBAL":
            module, _, name = str(argument).partition(" ")
        else:
            name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise UnsafeFileError("pickle names a global by something that is no text", where=self._where)
        storage = module in {"torch", "torch.storage"} and name in DTYPES
        if not storage and (module, name) not in _CALLS:
            raise UnsafeFileError(
                f"pickle refers to {module[:60]}.{name[:60]}, which would run code",
                where=self._where,
                remedy="save the weights as safetensors",
            )
        self._stack.append(Global(module, name))

    def _since_mark(self) -> list[object]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        raise FormatError("pickle is damaged: no mark on the stack", where=self._where)

    def _storage(self, identifier: object) -> Storage:
        if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
            raise UnsafeFileError("pickle refers to an outside object that is no storage", where=self._where)
        kind, key, size = identifier[1], identifier[2], identifier[4]
        if len(identifier) > 5 and identifier[5] is not None:
            raise FormatError("a storage is a view of another, which is not supported", where=self._where)
        if not isinstance(kind, Global) or kind.name not in DTYPES or not isinstance(key, str) or type(size) is not int:
            raise FormatError("a storage is not described as storages are", where=self._where)
        storage = Storage(key=key, dtype=DTYPES[kind.name], size=size)
        return self.storages.setdefault(key, storage)

    def _call(self, function: object, arguments: object) -> object:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise UnsafeFileError("pickle calls something that is no known function", where=self._where)
        match function.name:
            case "OrderedDict":
                return dict(arguments[0]) if arguments else {}
            case "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3":
                return self._tensor(arguments, typed=function.name.endswith("v3"))
            case "_rebuild_parameter" | "_rebuild_parameter_with_state":
                return arguments[0]
            case "Size":
                return tuple(arguments[0]) if arguments else ()
            case "device":
                return None
            case "encode" if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1":
                return arguments[0].encode("latin1")
        raise UnsafeFileError(f"pickle calls {function.module}.{function.name}", where=self._where)

    def _tensor(self, arguments: tuple[object, ...], *, typed: bool) -> StridedTensor:
        storage, offset, shape, strides = arguments[:4]
        dtype = storage.dtype if isinstance(storage, Storage) else ""
        if typed:
            stated = arguments[6]
            dtype = DTYPES.get(stated.name, "") if isinstance(stated, Global) else ""
        if not isinstance(storage, Storage) or not dtype or type(offset) is not int:
            raise FormatError("a tensor has no storage, dtype or offset", where=self._where)
        if not _naturals(shape) or not _naturals(strides) or len(shape) != len(strides):  # type: ignore[arg-type]
            raise FormatError("a tensor has no valid shape or strides", where=self._where)
        return StridedTensor(
            storage=storage,
            dtype=dtype,
            offset=offset,
            shape=tuple(shape),  # type: ignore[arg-type]
            strides=tuple(strides),  # type: ignore[arg-type]
        )

    def _value(self, value: object) -> object:
        if isinstance(value, (Global, _Mark)):
            raise UnsafeFileError("pickle holds a reference to code instead of tensors", where=self._where)
        return value

    def _pop_into(self, kind: Callable[[list[object]], object]) -> None:
        self._stack.append(kind(self._since_mark()))

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) != count or any(item is _MARK for item in items):
            raise FormatError("pickle is damaged: the stack is too short", where=self._where)
        del self._stack[-count:]
        self._stack.append(items)

    def _extend(self, items: list[object]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(items)
        else:
            raise UnsafeFileError("pickle appends to something that is no list", where=self._where)

    def _update(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise UnsafeFileError("pickle sets an item of something that is no dict", where=self._where)
        target.update(zip(items[::2], items[1::2], strict=True))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(function, arguments))

    def _build(self) -> None:
        # The state of an OrderedDict of torch is its `_metadata`, which says nothing about weights.
        self._stack.pop()
        if not isinstance(self._stack[-1], dict):
            raise UnsafeFileError("pickle sets the state of something that is no dict", where=self._where)


def _naturals(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(type(item) is int and 0 <= item < 1 << 62 for item in value)


def _paired(items: list[object]) -> dict[object, object]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _last(count: int) -> Callable[[PickleMachine], list[object]]:
    def take(machine: PickleMachine) -> list[object]:
        items = machine._stack[-count:]
        del machine._stack[-count:]
        return items

    return take


_IGNORED = frozenset({"PROTO", "FRAME"})
_LITERALS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_ARGUMENTS = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    }
)
_STACK: dict[str, Callable[[PickleMachine], object]] = {
    "MARK": lambda machine: machine._stack.append(_MARK),
    "POP": lambda machine: machine._stack.pop(),
    "POP_MARK": lambda machine: machine._since_mark(),
    "DUP": lambda machine: machine._stack.append(machine._stack[-1]),
    "LIST": lambda machine: machine._pop_into(list),
    "TUPLE": lambda machine: machine._pop_into(tuple),
    "DICT": lambda machine: machine._pop_into(_paired),
    "TUPLE1": lambda machine: machine._tuple(1),
    "TUPLE2": lambda machine: machine._tuple(2),
    "TUPLE3": lambda machine: machine._tuple(3),
    "APPEND": lambda machine: machine._extend(_last(1)(machine)),
    "APPENDS": lambda machine: machine._extend(machine._since_mark()),
    "ADDITEMS": lambda machine: machine._extend(machine._since_mark()),
    "SETITEM": lambda machine: machine._update(_last(2)(machine)),
    "SETITEMS": lambda machine: machine._update(machine._since_mark()),
    "REDUCE": lambda machine: machine._reduce(),
    "BUILD": lambda machine: machine._build(),
}
