"""YAML text -> plain tree of dicts, lists and scalars, limited in size, depth and kinds of values.

YAML lets a few lines stand for more than any memory holds (aliases of aliases), for itself (an alias inside of what it
names), or for something else than they seem (a key given twice). Here each of these is an error with its key.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from v2skit.config.plain import MAX_DEPTH
from v2skit.errors import UserError

MAX_BYTES = 2_000_000
MAX_INTEGER = 2**63
MAX_VALUES = 50_000
"""Keys, values and entries of lists, with those that an alias repeats counted again."""

TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
"""The kinds of values that a config has; plain dates and times are text."""


def parse_yaml(text: str, source: str) -> Any:
    """A YAML document as a plain tree.

    Args:
        text: the document.
        source: where it comes from, for messages.

    Raises:
        UserError: it is no YAML, is too large, nests too deep, contains itself, or gives a key twice; has the field
            ``source`` and, where one key is at fault, ``key``.
    """
    if len(text) > MAX_BYTES:
        raise UserError(
            f"{source} is larger than {MAX_BYTES / 1e6:g} MB, so it is no config; name another", source=source
        )
    try:
        loader = _Loader(text, source)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = "; ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"{source} is not valid YAML ({where}{problem})", source=source) from error
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Without YAMLError: of a value that does not fit its tag, such as !!int many.
        raise UserError(f"{source} is not valid YAML ({' '.join(str(error).split())})", source=source) from error


class _Loader(yaml.SafeLoader):
    """Composes a tree of nodes within the limits, and constructs plain values of it."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self.source = source
        self._place: list[str] = []
        self._depth = self._composed = 0
        self._open: set[str] = set()
        """Anchors of the nodes that are being composed."""
        self._values: dict[int, int] = {}
        """Identity of a node -> number of its values, aliases counted in full."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """A node, or the one that an alias names."""
        event: Any = self.peek_event()
        is_value = index is not None
        if is_value:
            self._place.append(index.value if isinstance(index, ScalarNode) else str(index))
        self._depth += 1
        self._composed += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"nests deeper than {MAX_DEPTH} levels; flatten it", shown=3)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                self._refuse(f"the alias *{event.anchor[:40]} stands inside of what it names; write out what you mean")
            node = super().compose_node(parent, index)
        else:
            anchor = {event.anchor} - {None}
            self._open |= anchor
            node = super().compose_node(parent, index)
            self._open -= anchor
            self._check(node)
        self._depth -= 1
        if is_value:
            self._place.pop()
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Keys and values. Raises UserError for a key that is given twice."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, key.value
            if not isinstance(key, ScalarNode):
                self._refuse(f"a key must be text, not a list or keys and values (line {line})")
            if name in lines:
                self._place.append(name)
                self._refuse(f"given twice, in lines {lines[name]} and {line}; delete one of the two")
            lines[name] = line
            if key.value == "on":  # which YAML 1.1 takes for true
                key.tag = "tag:yaml.org,2002:str"
        return node

    def _check(self, node: Any) -> None:
        if node.tag not in TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")[:60]
            self._refuse(f"the tag {tag} is unknown here; give text, a number, a list, or keys and values")
        count = 1
        if isinstance(node, CollectionNode):
            children = [child for entry in node.value for child in (entry if isinstance(entry, tuple) else (entry,))]
            count += sum(self._values[id(child)] for child in children)
        if max(count, self._composed) > MAX_VALUES:
            self._refuse(f"more than {MAX_VALUES} values, aliases counted in full; shorten it")
        self._values[id(node)] = count

    def construct_yaml_int(self, node: ScalarNode) -> int:
        """A whole number of at most 64 bits."""
        text = node.value
        value = super().construct_yaml_int(node) if len(text) < 100 else MAX_INTEGER + 1
        if abs(value) > MAX_INTEGER:
            raise yaml.constructor.ConstructorError(
                None, None, f"the whole number {text[:20]}... is out of range", node.start_mark
            )
        return value

    def _refuse(self, problem: str, shown: int = MAX_DEPTH) -> None:
        key = ".".join(part[:100] for part in self._place[:shown])
        raise UserError(f"{self.source}: {f'{key}: ' if key else ''}{problem}", key=key, source=self.source)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
