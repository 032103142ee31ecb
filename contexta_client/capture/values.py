"""What users give as numbers, exactly as what a spool can hold: Python, numpy, torch and other scalars."""

from __future__ import annotations

from typing import Any

from contexta.errors import ValidationError

EXACT = 1 << 53  # every integer up to here is a double
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
        return _integer(value)
    if isinstance(value, float):  # numpy.float64
        return float.__float__(value), FLOAT, None
    if isinstance(value, int):  # an enum
        return _integer(int(value))
    if value is None or isinstance(value, str | bytes | complex):
        raise _no_number(key, value)
    item = getattr(value, "item", None)  # a scalar or an array of one: numpy, torch, jax
    if item is not None:
        try:
            plain = item()
        except Exception as error:
            raise _no_number(key, value) from error
        if plain.__class__ is not kind and isinstance(plain, int | float):
            return number(plain, key=key)
    if hasattr(value, "__index__"):
        return _integer(int(value.__index__()))
    if hasattr(value, "__float__") and not isinstance(value, type):  # Decimal, Fraction, numpy.longdouble, tensorflow
        try:
            return float(value), FLOAT, None
        except Exception as error:
            raise _no_number(key, value) from error
    raise _no_number(key, value)


def whole_step(step: Any) -> int:
    """Return a step as an integer. Raises ValidationError for what is none, or is outside 64 bits."""
    whole = None
    if isinstance(step, int) or hasattr(step, "__index__"):
        whole = int(step.__index__())
    elif isinstance(step, float) and step.is_integer():
        whole = int(step)
    elif hasattr(step, "item"):
        try:
            plain = step.item()
        except Exception:
            plain = None
        if isinstance(plain, int | float) and float(plain).is_integer():
            whole = int(plain)
    if whole is None:
        raise ValidationError(
            f"step is {step!r}; give a whole number, such as step=epoch.", code="step_invalid", details={"step": step}
        )
    if not -STEP_BOUND <= whole < STEP_BOUND:
        raise ValidationError(f"step is {whole}; it must lie between -2**63 and 2**63 - 2.", code="step_out_of_range")
    return whole


def _integer(value: int) -> tuple[float, str, int | None]:
    if -EXACT <= value <= EXACT:
        return float(value), INT, None
    try:
        near = float(value)
        exact = int(near) == value
    except OverflowError:
        near, exact = float("inf") if value > 0 else float("-inf"), False
    return near, INT, None if exact else value


def _no_number(key: str, value: Any) -> ValidationError:
    size = getattr(value, "size", None) if not callable(getattr(value, "size", None)) else None
    shape = getattr(value, "shape", None)
    if value is None:
        advice = "There is no value; leave the call out, or write float('nan')."
    elif isinstance(value, str | bytes):
        advice = f"Text is no metric; write float(...) for a number, or event({key!r}, message=...) for text."
    elif isinstance(value, complex):
        advice = "Write value.real and value.imag as two metrics, or abs(value)."
    elif size not in (None, 1) or (shape is not None and tuple(shape) not in ((), (1,))):
        advice = f"It has the shape {tuple(shape or ())}; write value.mean().item(), or a metric for each element."
    elif isinstance(value, dict):
        inner = next((f"{key}/{name}" for name in value), f"{key}/name")
        advice = f"Write log({{{inner!r}: ...}}), with a number for each name."
    else:
        advice = "Write float(value)."
    return ValidationError(
        f"The metric {key!r} got a {type(value).__name__}, which is not one number. {advice}",
        code="metric_value_invalid",
        details={"key": key, "type": type(value).__name__},
    )
