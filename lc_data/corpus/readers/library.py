"""The documentation of a Python module, from its source: signatures and docstrings, never an import.

Importing a module to document it runs it (some open windows, some print) and needs what it needs; its syntax tree has
the same signatures and docstrings and always the same bytes.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from lc_data.corpus.readers.record import Fault, check_unicode

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Member:
    """A public function, method or class."""

    kind: str
    """``function``, ``method`` or ``class``."""
    name: str
    """Qualified within the module."""
    signature: str
    """As it would stand in source, without its body."""
    docstring: str | None
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Module:
    """What a module says about itself."""

    name: str
    docstring: str | None
    members: tuple[Member, ...]

    @property
    def is_documented(self) -> bool:
        """Whether anything in it has a docstring."""
        return bool(self.docstring) or any(member.docstring for member in self.walk())

    def walk(self) -> Iterator[Member]:
        """Every member, those of a class after it."""
        for member in self.members:
            yield member
            yield from member.members


def module_name(path: str) -> str:
    """``json/decoder.py`` is ``json.decoder``; ``json/__init__.py`` is ``json``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def parse_module(name: str, source: bytes) -> Module:
    """The public members of a module; raises :class:`Fault` when its source cannot be parsed."""
    check_unicode(source)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Fault("not Python source", str(error)) from None
    return Module(name, ast.get_docstring(tree), _members(tree.body, ""))


def render_module(module: Module) -> str:
    """The documentation as Markdown: the module, its classes with their methods, its functions."""
    pieces = [f"# {module.name}"]
    if module.docstring:
        pieces.append(module.docstring)
    for title, wanted in (("Classes", "class"), ("Functions", "function")):
        chosen = [member for member in module.members if member.kind == wanted]
        if chosen:
            pieces.append(f"## {title}")
            pieces += [_render(member) for member in chosen]
    return "\n\n".join(pieces) + "\n"


def _render(member: Member) -> str:
    heading = "####" if member.kind == "method" else "###"
    pieces = [f"{heading} {member.name}", f"```python\n{member.signature}\n```"]
    if member.docstring:
        pieces.append(member.docstring)
    return "\n\n".join([*pieces, *(_render(inner) for inner in member.members)])


def _members(body: list[ast.stmt], prefix: str) -> tuple[Member, ...]:
    """The public definitions of a body; of several with one name the first, and those inside if and try as well."""
    found: dict[str, Member] = {}
    for node in _definitions(body):
        if not node.name.startswith("_"):
            found.setdefault(node.name, _member(node, prefix))
    return tuple(found.values())


def _definitions(body: list[ast.stmt]) -> Iterator[_Definition]:
    for node in body:
        if isinstance(node, _Definition):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from _definitions([*node.body, *node.orelse])


def _member(node: _Definition, prefix: str) -> Member:
    name = f"{prefix}{node.name}"
    docstring = ast.get_docstring(node)
    docstring = inspect.cleandoc(docstring).strip() if docstring else None
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
        signature = f"class {node.name}({bases})" if bases else f"class {node.name}"
        methods = _members(node.body, f"{name}.") if not prefix else ()
        return Member("class", name, signature, docstring or None, methods)
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    signature = f"{word} {node.name}({ast.unparse(node.args)}){returns}"
    return Member("method" if prefix else "function", name, signature, docstring or None)
