"""What users give as numbers, exactly as what a spool can hold: Python, numpy, torch and other scalars."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from contexta.errors import ValidationError

_INFINITY = float("inf")
_NO_NUMBERS = ("m", "M", "c")  # kinds of numpy: times and complex numbers, which would convert all the same
EXACT = 1 << 53  # every integer up to here is a double
MAX_INTEGER_BITS = 13_999  # as contexta.contract.json_text writes as a number: Python itself ends at 4300 digits
STEP_BOUND = (1 << 63) - 1

FLOAT, INT, BOOL = "float64", "int64", "bool"
PYTHON_TYPES = {FLOAT: float, INT: int, BOOL: bool}


def number(value: Any, *, key: str) -> tuple[float, str, int | None]:
    """Return (value as a double, value type, the integer where the double is not it exactly).

    Raises ValidationError, with what to write instead, for what is no single number.
    """
    kind = value.__class__
    if kind is float:
        return value, FLOAT, None
    if kind is bool:
        return float(value), BOOL, None
    if kind is int:
        return _integer(value, key)
    if isinstance(value, float):  # numpy.float64
        return float.__float__(value), FLOAT, None
    if isinstance(value, int):  # an enum
        return _integer(int(value), key)
    if value is None or isinstance(value, str | bytes | complex | type):
        raise _no_number(key, value)
    try:
        plain = _held(value)
        if plain.__class__ is kind and hasattr(value, "__float__") and _dtype_kind(value) not in _NO_NUMBERS:
            plain = _near(value)  # Decimal, Fraction, numpy.longdouble, tensorflow
    except OverflowError as error:
        raise _no_number(key, value, "It is beyond what a double holds, 1.8e308; write its logarithm.") from error
    except Exception as error:
        raise _no_number(key, value) from error
    if plain.__class__ is kind:
        raise _no_number(key, value)
    return number(plain, key=key)


def whole_step(step: Any) -> int:
    """Return a step as an integer. Raises ValidationError for what is none, or is outside 64 bits."""
    whole = step if step.__class__ is int else _whole(step)
    if whole is None:
        raise ValidationError(
            f"step is {step!r}; give a whole number, such as step=epoch.", code="step_invalid", details={"step": step}
        )
    if not -STEP_BOUND <= whole < STEP_BOUND:
        raise ValidationError(f"step is {whole}; it must lie between -2**63 and 2**63 - 2.", code="step_out_of_range")
    return whole


def _whole(step: Any) -> int | None:
    with suppress(Exception):  # an object of the user's that cannot tell
        plain = step if isinstance(step, int | float) else _held(step)
        if isinstance(plain, int) or (isinstance(plain, float) and plain.is_integer()):
            return int(plain)
    return None


def _held(value: Any) -> Any:
    """Return what is in a scalar or an array of one of another library, exactly; the object itself where that is no
    number, or none that this can take out. Raises anything."""
    if _dtype_kind(value) in _NO_NUMBERS or _is_masked(value):
        return value
    item = getattr(value, "item", None)  # numpy, torch, jax
    if item is not None and (plain := item()).__class__ is not value.__class__:
        return plain
    with suppress(Exception):  # floats of tensorflow have the method, and refuse
        return int(value.__index__())
    return value


def _near(value: Any) -> float:
    """Return the double next to a number. Raises OverflowError where that is an infinity, and anything else."""
    near = float(value)
    if near in (_INFINITY, -_INFINITY):
        with suppress(TypeError):  # it has no order
            if -_INFINITY < value < _INFINITY:
                raise OverflowError
    return near


def _dtype_kind(value: Any) -> str:
    """Return numpy's letter for the kind of what an object holds, "-" for other objects."""
    return str(getattr(getattr(value, "dtype", None), "kind", "-"))


def _is_masked(value: Any) -> bool:
    """Whether an object is a scalar or an array of numpy.ma with something masked in it."""
    is_any = getattr(getattr(value, "mask", None), "any", None)
    return is_any is not None and bool(is_any())


def _integer(value: int, key: str) -> tuple[float, str, int | None]:
    if -EXACT <= value <= EXACT:
        return float(value), INT, None
    if value.bit_length() > MAX_INTEGER_BITS:
        raise ValidationError(
            f"The metric {key!r} got an integer of {value.bit_length()} bits; at most {MAX_INTEGER_BITS} can be kept. "
            "Write its logarithm, or text in the attributes of an event.",
            code="metric_value_invalid",
            details={"key": key, "type": "int"},
        )
    try:
        near = float(value)
        exact = int(near) == value
    except OverflowError:
        near, exact = float("inf") if value > 0 else float("-inf"), False
    return near, INT, None if exact else value


def _no_number(key: str, value: Any, advice: str = "") -> ValidationError:
    return ValidationError(
        f"The metric {key!r} got a {type(value).__name__}, which is not one number. {advice or _advice(key, value)}",
        code="metric_value_invalid",
        details={"key": key, "type": type(value).__name__},
    )


def _advice(key: str, value: Any) -> str:
    """Return what to write instead."""
    size = getattr(value, "size", None) if not callable(getattr(value, "size", None)) else None
    shape = getattr(value, "shape", None)
    if value is None:
        return "There is no value; leave the call out, or write float('nan')."
    if isinstance(value, str | bytes):
        return f"Text is no metric; write float(...) for a number, or event({key!r}, message=...) for text."
    if isinstance(value, complex) or _dtype_kind(value) == "c":
        return "Write value.real and value.imag as two metrics, or abs(value)."
    if size not in (None, 1) or (shape is not None and tuple(shape) not in ((), (1,))):
        return f"It has the shape {tuple(shape or ())}; write value.mean().item(), or a metric for each element."
    if _dtype_kind(value) in ("m", "M"):
        return "It is a time; write a number of seconds, such as value / numpy.timedelta64(1, 's')."
    if getattr(value, "mask", None) is not None:
        return "It is masked, so there is no value; leave the call out, or write float('nan')."
    if isinstance(value, dict):
        inner = next((f"{key}/{name}" for name in value), f"{key}/name")
        return f"Write log({{{inner!r}: ...}}), with a number for each name."
    return "Write float(value)."
