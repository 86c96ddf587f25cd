"""A node's parameters are one typed schema: declared, described and checked from it."""

from typing import Any, TypeVar

from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.errors import EirError

Settings = TypeVar("Settings", bound=Schema)

_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY,
    tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
    tuple[float, float, float]: Parameter.Type.DOUBLE_ARRAY,
}
_UNBOUNDED = 1e9


def declare(
    node: Node, schema: type[Settings], changeable: frozenset[str] = frozenset()
) -> Settings:
    """Declare every field of `schema` as a parameter of `node` and return the values given.

    Name, type, range and description come from the schema; `changeable` names those that may be
    set while the node runs, all others are read-only.

    Raises
    ------
    EirError
        A parameter is unknown, missing, of another type or out of range.
    """
    where = node.get_fully_qualified_name()
    given = {}
    for name, field in schema.model_fields.items():
        descriptor = _descriptor(name, field, read_only=name not in changeable)
        kind = _TYPES[field.annotation]  # type: ignore[index]
        try:
            if field.is_required() or field.default == ():
                # rclpy cannot tell the type of an empty list
                parameter = node.declare_parameter(name, kind, descriptor)
            else:
                parameter = node.declare_parameter(name, _plain(field.default), descriptor)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            value = getattr(node._parameter_overrides.get(name), "value", None)
            if kind is Parameter.Type.DOUBLE and type(value) is int:
                raise EirError(
                    f"{where}: parameter '{name}' is {value}, which ROS takes for an integer; "
                    f"write {float(value)}."
                ) from error
            raise EirError(f"{where}: parameter {error}") from error
        if parameter.type_ != Parameter.Type.NOT_SET:
            given[name] = _plain(parameter.value)
    return validate(given | _undeclared(node), schema, where=f"{where} parameters")


def _undeclared(node: Node) -> dict[str, Any]:
    """Values that were given under a name nobody declared: rclpy would ignore them in silence."""
    return {
        name: parameter.value
        for name, parameter in node._parameter_overrides.items()
        if not node.has_parameter(name) and not name.startswith("qos_overrides.")
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) or hasattr(value, "tolist") else value


def _descriptor(name: str, field: FieldInfo, *, read_only: bool) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=name, description=field.description or "", read_only=read_only
    )
    low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
    if low is None and high is None:
        return descriptor
    low = -_UNBOUNDED if low is None else low
    high = _UNBOUNDED if high is None else high
    if field.annotation is float:
        bounds = FloatingPointRange(from_value=float(low), to_value=float(high))
        descriptor.floating_point_range = [bounds]
    elif field.annotation is int:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor
