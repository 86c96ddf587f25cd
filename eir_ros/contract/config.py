"""YAML configuration checked by a typed schema: unknown keys and bad values are named."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from eir_ros.contract.errors import EirError
from eir_ros.contract.places import Places, place_of, places_in


class Schema(BaseModel):
    """Base of every configuration: immutable, finite, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    #: What a file of this schema is called in a refusal, for example "a roster"; empty: nothing.
    called: ClassVar[str] = ""


#: What a value of the wrong kind should be, in the words of YAML instead of Python's.
_KINDS = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of settings",
    "string_type": "text; quote it if it is",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
#: Values longer than this are not repeated in a sentence about them.
_LONGEST = 60

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: str | Path, schema: type[Model]) -> Model:
    """Read `path` and check it against `schema`.

    Raises
    ------
    EirError
        The file is missing, is not YAML, or a key is unknown, missing or out of range. The
        sentence names the file, the key, the value found and what is valid.
    """
    return validate(load_mapping(path), schema, str(path), lambda: places_in(path))


def load_mapping(path: str | Path) -> dict[str, Any]:
    """The settings of a YAML file as they are written; `EirError` where they are no mapping."""
    path = Path(path)
    try:
        data = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EirError(f"{path}: cannot be read ({error.strerror}).") from error
    except yaml.MarkedYAMLError as error:
        raise EirError(_not_yaml(error, str(path))) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise EirError(f"{path}: not valid YAML: {reason}.") from error
    except RecursionError as error:
        raise EirError(f"{path}: nested too deeply to be settings.") from error
    return _mapping(data, str(path))


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        """As composed, each key once; what a merge (`<<`) brings may be given again."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key '{key.value}' is given twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node


def _parsed(text: str) -> Any:
    return yaml.load(text, _Loader)


def load_value(text: str, where: str) -> Any:
    """One value as it would stand in a YAML file; `EirError` where it is none."""
    try:
        return _parsed(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise EirError(f"{where}: '{text}' is not a YAML value; quote it if it is text.") from error


def _not_yaml(error: yaml.MarkedYAMLError, path: str) -> str:
    """PyYAML's report of several lines as one sentence with file:line:column."""
    mark = error.problem_mark or error.context_mark
    place = path if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{place}: not valid YAML: {reason}."


def validate(
    data: Any, schema: type[Model], where: str, places: Callable[[], Places] = dict
) -> Model:
    """Check `data` against `schema`.

    Parameters
    ----------
    where
        Says in an error which input was wrong.
    places
        Makes, only when it is needed, what says that of single settings.
    """
    mapping = _mapping(data, where)
    try:
        return schema.model_validate(mapping)
    except ValidationError as error:
        called = getattr(schema, "called", "")
        if called and _is_something_else(mapping, schema):
            raise EirError(
                f"{where}: this is not {called}: it has {_listed(mapping)}; "
                f"expected {_listed(schema.model_fields)}."
            ) from error
        raise EirError(_told(_sentences(error, mapping, schema), where, places())) from error


def _is_something_else(data: Mapping[str, Any], schema: type[BaseModel]) -> bool:
    """Whether (nearly) no key is one of the schema's, not even a misspelt one."""
    fields = list(schema.model_fields)
    fitting = [key for key in data if difflib.get_close_matches(str(key), fields, n=1, cutoff=0.75)]
    return 4 * len(fitting) < len(data)


def _listed(names: Iterable[Any], most: int = 8) -> str:
    shown = [str(name) for name in names]
    return ", ".join([*shown[:most], "..."] if len(shown) > most else shown)


def _joined(problems: list[str]) -> str:
    """One text of several problems; one that ends with a question needs no other mark."""
    text = problems[0]
    for problem in problems[1:]:
        if text.endswith("?"):
            text += f" {problem[0].upper()}{problem[1:]}"
        else:
            text += f"; {problem}"
    return text if text.endswith("?") else f"{text}."


def _mapping(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise EirError(f"{where}: expected a mapping of settings, found {found}.")
    return data


def _told(sentences: Mapping[str, str], where: str, places: Places) -> str:
    """What is wrong, place by place."""
    by_place = dict[str, list[str]]()
    for key, sentence in sentences.items():
        by_place.setdefault(place_of(key, places) or where, []).append(sentence)
    return " ".join(f"{place}: {_joined(those)}" for place, those in by_place.items())


def _sentences(error: ValidationError, data: Any, schema: type[BaseModel]) -> dict[str, str]:
    """A sentence for each key that is wrong, however many types its value may be of."""
    about = dict[str, list[Any]]()
    for problem in error.errors():
        key = ".".join(map(str, _written(problem, data)))
        about.setdefault(key, []).append(problem)
    return {key: _sentence(key, problems, schema) for key, problems in about.items()}


def _written(problem: Any, data: Any) -> list[Any]:
    """Where a problem is, as the user wrote it: without the types that pydantic tried there."""
    path = []
    for part in problem["loc"]:
        listed = isinstance(part, int) and isinstance(data, list) and part < len(data)
        if listed or (isinstance(data, Mapping) and part in data):
            data = data[part]
        elif problem["type"] != "missing":
            continue
        path.append(part)
    return path


def _sentence(key: str, problems: list[Any], schema: type[BaseModel]) -> str:
    first, loc = problems[0], problems[0]["loc"]
    if first["type"] == "extra_forbidden":
        valid = _fields_at(schema, loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), valid, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"valid keys: {', '.join(sorted(valid))}"
        return f"unknown key '{key}', {hint}"
    if first["type"] == "missing":
        return f"key '{key}' is missing"
    reasons = [_reason(problem) for problem in problems]
    if not loc:  # about the whole file, whose contents need no repeating
        return "; ".join(reasons)
    message = ", or ".join(f"{reason[0].lower()}{reason[1:]}" for reason in reasons)
    return f"'{key}'{_shown(first['input'])}: {message}"


def _shown(value: Any) -> str:
    """A value as it is written in YAML; a whole section needs no repeating."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return f" is {text}" if len(text) <= _LONGEST else ""


def _reason(problem: Any) -> str:
    if problem["type"] in _KINDS:
        return f"input should be {_KINDS[problem['type']]}"
    message: str = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "literal_error":
        valid = re.findall("'([^']*)'", problem["ctx"]["expected"])
        near = difflib.get_close_matches(str(problem["input"]), valid, n=1)
        message += f"; did you mean '{near[0]}'?" if near else ""
    return message


def _fields_at(schema: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Names of the fields of the (possibly nested) model that `loc` points into."""
    model: Any = schema
    for part in loc:
        field = getattr(model, "model_fields", {}).get(part)
        annotations = [] if field is None else [field.annotation, *_arguments(field.annotation)]
        model = next((a for a in annotations if hasattr(a, "model_fields")), model)
    return list(model.model_fields)


def _arguments(annotation: Any) -> list[Any]:
    found = []
    for argument in getattr(annotation, "__args__", ()):
        found += [argument, *_arguments(argument)]
    return found
