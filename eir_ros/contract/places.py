"""Where settings were written: file and line, or the option that changed them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

#: Dotted key of a setting -> where it was written.
Places = Mapping[str, str]


def places_in(path: str | Path) -> dict[str, str]:
    """File and line of every key of a YAML file that has been read, those of lists by number."""
    root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    return {key: f"{path}:{line}" for key, line in _lines(root, "", set())}


def _lines(node: yaml.Node | None, at: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    # an alias stands for what has been gone through, and may even be inside it
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{at}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _lines(value, f"{name}.", seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield f"{at}{number}", value.start_mark.line + 1
            yield from _lines(value, f"{at}{number}.", seen)


def place_of(key: str, places: Places) -> str | None:
    """Where `key` was written, or else what holds it; None where neither is known."""
    while key:
        if key in places:
            return places[key]
        key = key.rpartition(".")[0]
    return None


def changed(places: Places, changes: Places) -> dict[str, str]:
    """`places` where the settings of `changes` have taken the place of earlier ones."""
    gone = tuple(f"{key}." for key in changes)
    return {**{k: v for k, v in places.items() if not k.startswith(gone)}, **changes}
