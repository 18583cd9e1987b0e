"""YAML documents that people write: exact decimals, no repeated keys, and errors that name file, line and field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""The way to a value from the top of a document: keys and list indexes (from 0)."""

_RESOLVERS = {
    "tag:yaml.org,2002:null": re.compile(r"^(?:~|null|)$"),
    "tag:yaml.org,2002:bool": re.compile(r"^(?:true|false)$"),
    "tag:yaml.org,2002:int": re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"),
}
"""What is not text. The words of YAML 1.1 that surprise people (no, on, 0123, 12:30) are text here."""

DOCUMENT_BYTES_MAX = 1_000_000
VALUES_MAX = 100_000
DEPTH_MAX = 50
"""An alias may repeat what stands elsewhere; these bound what a document of aliases can grow to."""


class DocumentError(Exception):
    """A document that can't be used. Its text is `file:line: field: what is wrong`."""

    def __init__(self, file: str, line: int, field: str, message: str) -> None:
        super().__init__(f"{file}:{line}: {field + ': ' if field else ''}{message}")
        self.file = file
        self.line = line
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """`data` is what the document says; `line_of` knows where it says so."""

    file: str
    data: Any
    lines: dict[Place, int]

    def line_of(self, place: Place) -> int:
        """The line (from 1) of the value at `place`, or of the nearest thing around it."""
        for length in range(len(place), 0, -1):
            line = self.lines.get(place[:length])
            if line is not None:
                return line
        return self.lines.get((), 1)

    def error(self, place: Place, message: str) -> DocumentError:
        """An error about the value at `place`."""
        return DocumentError(self.file, self.line_of(place), field_name(place), message)


def field_name(place: Place) -> str:
    """A place as people write it: `steps[2].purchase.lines[0].amount`, lists counted from 1 as people do."""
    name = ""
    for part in place:
        if isinstance(part, int):
            name += f"[{part + 1}]"
        else:
            name += f".{part}" if name else part
    return name


class _Loader(yaml.SafeLoader):
    """Numbers with a point and times stay text, so that what is read is what was written."""


_Loader.yaml_implicit_resolvers = {None: list(_RESOLVERS.items())}


def load(path: Path) -> Document:
    """Read one document.

    Raises:
        DocumentError: no such file, not YAML, over one of the limits above, or a key that stands twice.
    """
    file = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DocumentError(file, 1, "", f"can't be read: {error.strerror}") from error
    if len(content) > DOCUMENT_BYTES_MAX:
        raise DocumentError(file, 1, "", f"has {len(content)} bytes, at most {DOCUMENT_BYTES_MAX} are read")
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            raise DocumentError(file, 1, "", "is empty")
        lines: dict[Place, int] = {}
        data = _value(loader, node, (), lines, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise DocumentError(file, line, "", f"is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise DocumentError(file, 1, "", f"is not YAML: {error}") from error
    finally:
        loader.dispose()
    return Document(file, data, lines)


def _value(loader: _Loader, node: yaml.Node, place: Place, lines: dict[Place, int], file: str) -> Any:
    lines[place] = node.start_mark.line + 1
    if len(lines) > VALUES_MAX or len(place) > DEPTH_MAX:
        raise DocumentError(
            file, lines[place], "", f"has more than {VALUES_MAX} values or {DEPTH_MAX} levels"
        )
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, child, (*place, index), lines, file) for index, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True)
    mapping: dict[str, Any] = {}
    for key_node, child in node.value:
        key = str(key_node.value)
        here = (*place, key)
        if key in mapping:
            raise DocumentError(file, key_node.start_mark.line + 1, field_name(here), "stands here twice")
        mapping[key] = _value(loader, child, here, lines, file)
        lines[here] = key_node.start_mark.line + 1
    return mapping
