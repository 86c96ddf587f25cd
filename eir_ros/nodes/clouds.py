"""Points with named fields on the wire: tracks, sites and beliefs as `sensor_msgs/PointCloud2`.

Each kind of cloud is a numpy record type, so encoding and decoding copy one block of bytes.
"""

from array import array
from functools import cache
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

_POSITION = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]

#: Teammates that one robot perceives; position and velocity [m, m/s; `<r>/odom`].
TRACKS: Final = np.dtype([("id", "<u4"), *_POSITION, ("vx", "<f4"), ("vy", "<f4"), ("vz", "<f4")])

#: Sites [m; map] with one robot's own noisy reading, 1 = being served.
SITES: Final = np.dtype([("id", "<u4"), *_POSITION, ("served", "<f4")])

#: What one robot believes of its teammates, where it last saw them [m; map].
BELIEFS: Final = np.dtype([("id", "<u4"), *_POSITION, ("p_adversary", "<f4"), ("status", "<u4")])

#: Values of `status` in BELIEFS.
TRACKED, NOT_VISIBLE, DETECTED = 0, 1, 2
STATUS_WORDS: Final = {TRACKED: "tracked", NOT_VISIBLE: "not_visible", DETECTED: "detected"}

_DATATYPES = {"<u4": PointField.UINT32, "<f4": PointField.FLOAT32}


class InvalidMessageError(ValueError):
    """A message that no healthy sender produces; the sentence says what is wrong with it."""


@cache
def _fields(dtype: np.dtype[Any]) -> list[PointField]:
    return [
        PointField(name=name, offset=offset, datatype=_DATATYPES[kind.str], count=1)
        for name, (kind, offset, *_) in (dtype.fields or {}).items()
    ]


def encode(points: NDArray[np.void], stamp: Time, frame: str) -> PointCloud2:
    """Make the message of a record array `(P,)` of TRACKS, SITES or BELIEFS."""
    cloud = PointCloud2()
    cloud.header.stamp = stamp
    cloud.header.frame_id = frame
    cloud.height = 1
    cloud.width = len(points)
    # a list of its own: whoever appends to it must not change what all others are compared with
    cloud.fields = list(_fields(points.dtype))
    cloud.point_step = points.dtype.itemsize
    cloud.row_step = points.dtype.itemsize * len(points)
    cloud.data = array("B", points.tobytes())
    cloud.is_dense = True
    return cloud


def decode(cloud: PointCloud2, dtype: np.dtype[Any]) -> NDArray[np.void]:
    """Read a message as a record array `(P,)` of `dtype`.

    Raises
    ------
    InvalidMessageError
        The fields or sizes are not exactly those of `dtype`, an id occurs twice, or a number is
        not finite.
    """
    if cloud.fields != _fields(dtype):
        found = ", ".join(field.name for field in cloud.fields)
        raise InvalidMessageError(f"has fields {found}; expected {', '.join(dtype.names or ())}")
    size = cloud.width * dtype.itemsize
    sizes = (cloud.height, cloud.point_step, cloud.row_step, len(cloud.data), cloud.is_bigendian)
    if sizes != (1, dtype.itemsize, size, size, False):
        raise InvalidMessageError(
            f"has height, point step, row step, bytes and big-endian {sizes}; "
            f"expected {(1, dtype.itemsize, size, size, False)}"
        )
    # the ids are counted among the floats: a small integer is a finite float too
    words = np.frombuffer(cloud.data, "<f4")
    points = words.view(dtype)
    if not np.isfinite(words).all():
        raise InvalidMessageError("holds a number that is not finite")
    if len(set(points["id"].tolist())) != len(points):
        raise InvalidMessageError("names an id twice")
    return points
