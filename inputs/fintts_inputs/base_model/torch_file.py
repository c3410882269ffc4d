"""Lists the tensors of a torch.save file without unpickling it or reading weights.

Such a file is a zip. Its `data.pkl` is a program for Python's unpickler that builds a table of
names and tensors; each storage is a separate entry. This module interprets that program without
running it. It accepts only the opcodes and names that a table of tensors needs, which are those
that torch accepts for one with `weights_only`.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fintts_inputs.base_model.reading import AGAIN
from fintts_inputs.base_model.tensors import Shape, Stored
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_PROGRAM_BYTES = 2**22
"""limit of data.pkl; S1-mini's has about 40 thousand"""

MOST_SIDES, MOST_NUMBERS = 16, 2**62
"""of a tensor"""

PROGRAM = "data.pkl"
AS_TABLE = "use the released weights, not quantised and without an optimizer"
AS_SAFETENSORS = f"{AS_TABLE}; safetensors cannot hold code"

STORAGES = {
    "torch DoubleStorage": ("F64", 8),
    "torch FloatStorage": ("F32", 4),
    "torch HalfStorage": ("F16", 2),
    "torch BFloat16Storage": ("BF16", 2),
    "torch LongStorage": ("I64", 8),
    "torch IntStorage": ("I32", 4),
    "torch ShortStorage": ("I16", 2),
    "torch CharStorage": ("I8", 1),
    "torch ByteStorage": ("U8", 1),
    "torch BoolStorage": ("BOOL", 1),
}
"""Name in the program → safetensors' notation of the type, and the bytes of one value."""

TABLE = "collections OrderedDict"
TENSOR, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
CALLED = (TABLE, TENSOR, PARAMETER)

WRITTEN_OUT = ("BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
ZIP_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,  # encrypted, or packed by what Python has not
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class Global(NamedTuple):
    """An accepted name that the program would import."""

    name: str


class Storage(NamedTuple):
    """Where a storage is in the file."""

    kind: Global
    key: str
    numbers: int


class View(NamedTuple):
    """A tensor: a view of a storage."""

    storage: Storage
    offset: int
    shape: Shape
    strides: Shape


class NotATable(Exception):
    """The program does something other than building a table of tensors; the message says what."""


def read_torch_file(path: Path) -> dict[str, Stored]:
    """Lists the tensors of a file.

    Raises:
        BaseModelProblem: it is not a complete torch.save file, contains anything but a flat table
            of tensors, or imports code.
    """
    entries, program = _opened(path)
    try:
        table = _Reader().run(program)
        return {name: _stored(view, entries) for name, view in table.items()}
    except NotATable as error:
        raise BaseModelProblem(
            f"{path} does not hold a flat table of weights: {error}", AS_SAFETENSORS
        ) from None


def _opened(path: Path) -> tuple[dict[str, zipfile.ZipInfo], bytes]:
    """(Entries by their name within the archive's one folder, data.pkl)."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            entries = {info.filename.partition("/")[2]: info for info in infos}
            size = entries[PROGRAM].file_size if PROGRAM in entries else None
            if size is not None and size <= MOST_PROGRAM_BYTES:
                return entries, archive.read(entries[PROGRAM])
    except ZIP_ERRORS:
        size = None
    problem = "is not a complete torch.save file of weights"
    if size is not None:
        problem = f"has a {PROGRAM} of {size:,} bytes, too long for a table of weights"
    raise BaseModelProblem(f"{path} {problem}", AGAIN)


def _stored(view: View, entries: dict[str, zipfile.ZipInfo]) -> Stored:
    """The tensor, if its whole storage is in the file."""
    storage = view.storage
    word, width = STORAGES[storage.kind.name]
    entry = entries.get(f"data/{storage.key}")
    if entry is None or not entry.file_size == entry.compress_size == storage.numbers * width:
        raise NotATable(f"its storage {storage.key!r:.40} is truncated")
    steps = zip(view.shape, view.strides, strict=True)
    last = view.offset + sum((size - 1) * stride for size, stride in steps)
    if prod(view.shape) and last >= storage.numbers:
        raise NotATable(f"a tensor extends beyond its storage {storage.key!r:.40}")
    return Stored(word, view.shape)


class _Reader:
    """The stack and the memo of an unpickler that can only build tables of tensors."""

    def __init__(self) -> None:
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[object, object] = {}
        self._actions: dict[str, Callable[[object], object]] = {
            "PROTO": lambda _: None,
            "STOP": lambda _: None,
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "EMPTY_DICT": lambda _: self._push({}),
            "GLOBAL": lambda name: self._push(_known(str(name))),
            "BINPUT": self._remember,
            "LONG_BINPUT": self._remember,
            "BINGET": lambda slot: self._push(self._memo[slot]),
            "LONG_BINGET": lambda slot: self._push(self._memo[slot]),
            "TUPLE": lambda _: self._push(tuple(self._cut(self._marks.pop()))),
            "BINPERSID": lambda _: self._push(_storage(self._stack.pop())),
            "REDUCE": lambda _: self._push(
                _result(arguments=self._stack.pop(), of=self._stack.pop())
            ),
            "SETITEM": lambda _: self._set([self._stack.pop(-2), self._stack.pop()]),
            "SETITEMS": lambda _: self._set(self._cut(self._marks.pop())),
            "BUILD": lambda _: self._stack.pop(),  # versions of modules, beside the table
        }

    def run(self, program: bytes) -> dict[str, View]:
        """The table that the program builds. Raises NotATable."""
        try:
            for opcode, argument, _ in pickletools.genops(program):
                self._step(opcode.name, argument)
            found = self._stack.pop()
        except (ValueError, LookupError):  # it ends too early, or takes what is not there
            raise NotATable(f"its {PROGRAM} is damaged") from None
        if not isinstance(found, dict):
            raise NotATable("it is not a table")
        for name, view in found.items():
            if not isinstance(view, View):
                raise NotATable(f"{name!r:.60} is not a tensor")
        return found

    def _step(self, opcode: str, argument: object) -> None:
        if opcode in WRITTEN_OUT:
            self._push(argument)
        elif opcode in CONSTANTS:
            self._push(CONSTANTS[opcode])
        elif opcode in TUPLES:
            self._push(tuple(self._cut(len(self._stack) - TUPLES[opcode])))
        elif opcode in self._actions:
            self._actions[opcode](argument)
        else:
            raise NotATable(f"its {PROGRAM} uses {opcode}, which a table of tensors does not need")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _remember(self, slot: object) -> None:
        self._memo[slot] = self._stack[-1]

    def _cut(self, at: int) -> list[object]:
        """Pops everything from that position."""
        if at < 0:
            raise IndexError(at)
        taken = self._stack[at:]
        del self._stack[at:]
        return taken

    def _set(self, items: list[object]) -> None:
        table = self._stack[-1]
        if not isinstance(table, dict):
            raise NotATable("it is not a table")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):
                raise NotATable("some of its keys are not names")
            table[key] = value


def _known(name: str) -> Global:
    if name in STORAGES or name in CALLED:
        return Global(name)
    raise NotATable(f"it asks for {name.replace(' ', '.')!r:.80}, which is not executed")


def _storage(found: object) -> Storage:
    match found:
        case ("storage", Global(name) as kind, str(key), str(), int(numbers)) if name in STORAGES:
            return Storage(kind, key, numbers)
        case _:
            raise NotATable("it refers to something other than a storage")


def _result(arguments: object, of: object) -> object:
    """The result of a call, for accepted names only; nothing is called."""
    match of, arguments:
        case Global(name), () if name == TABLE:
            return {}
        case Global(name), (View() as view, *_) if name == PARAMETER:
            return view
        case Global(name), (Storage() as storage, offset, shape, strides, *_) if name == TENSOR:
            return _view(storage, _sizes((offset,))[0], _sizes(shape), _sizes(strides))
        case _:
            raise NotATable("it builds something other than tensors")


def _view(storage: Storage, offset: int, shape: Shape, strides: Shape) -> View:
    if len(shape) != len(strides):
        raise NotATable("a tensor has a dimension without a stride")
    return View(storage, offset, shape, strides)


def _sizes(found: object) -> Shape:
    if isinstance(found, tuple) and len(found) <= MOST_SIDES:
        sizes = [one for one in found if isinstance(one, int) and 0 <= one <= MOST_NUMBERS]
        if len(sizes) == len(found):
            return tuple(sizes)
    raise NotATable("a tensor has an impossible shape")
