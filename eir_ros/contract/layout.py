"""How an observation vector is laid out: names, shapes, units and frames, in order."""

from math import prod

from eir_ros.contract.config import Schema


class Field(Schema):
    """One named block of an observation vector."""

    name: str
    #: The block is flattened in C order.
    shape: tuple[int, ...]
    #: SI unit ("m", "m/s") or "1" for a pure number.
    unit: str
    #: REP-105 frame in which the numbers are expressed, or "-" where there is none.
    frame: str

    @property
    def size(self) -> int:
        """Number of floats in the block."""
        return prod(self.shape)


class Layout(Schema):
    """An ordered list of fields; the agreement between a policy and what feeds it."""

    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Length of the observation vector."""
        return sum(field.size for field in self.fields)

    def slices(self) -> dict[str, slice]:
        """Where each field lies in the observation vector."""
        found, start = {}, 0
        for field in self.fields:
            found[field.name] = slice(start, start + field.size)
            start += field.size
        return found

    def differences(self, other: "Layout") -> list[str]:
        """Sentences that name every way in which `other` disagrees; empty when they agree."""
        mine = {field.name: field for field in self.fields}
        theirs = {field.name: field for field in other.fields}
        found = [f"field '{name}' is missing" for name in mine if name not in theirs]
        found += [f"field '{name}' is not known" for name in theirs if name not in mine]
        for name in mine.keys() & theirs.keys():
            for what in ("shape", "unit", "frame"):
                here, there = getattr(mine[name], what), getattr(theirs[name], what)
                if here != there:
                    found.append(f"field '{name}' has {what} {there}, expected {here}")
        if not found and list(mine) != list(theirs):
            found.append(f"the fields are in the order {', '.join(theirs)}")
        return sorted(found)
