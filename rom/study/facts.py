"""What a model asks and tells, as names and text for tables."""

from __future__ import annotations

from typing import Any

from rom.archive.headers import Header
from rom.arrays import either, gate, of_noun
from rom.basis import Basis
from rom.model import Asks, Model
from rom.parameters import Box
from rom.prediction import Quantity

Facts = dict[str, Any]  # name -> text or number


@gate(model=either(Header, of_noun(Model)))
def model_facts(model: Model | Header) -> Facts:
    """What a model asks, what it tells with units, and what is known of its error."""
    facts = asks_facts(model.asks)
    for what, quantities in (("field", model.tells), ("output", model.tells_outputs)):
        for quantity in quantities:
            facts[f"tells {what} {quantity.name}"] = _quantity(quantity)
    facts["error known by"] = error_known_by(model)
    return facts


def error_known_by(model: Any) -> str:
    """What a model, or its header, states of its error, and the kind of its bound."""
    bound = getattr(model, "bound", None)
    statement: str = model.known.value
    if not bound:
        return statement
    return f"{statement} ({bound if isinstance(bound, str) else type(bound).__name__})"


def asks_facts(asks: Asks) -> Facts:
    """What is asked: parameters, times, mesh, fields, signals, loading."""
    facts: Facts = box_facts(asks.box)
    if asks.box is None:
        facts["asks parameters"] = "any number" if asks.p is None else asks.p
    if asks.times is not None:
        facts["asks times"] = _times(asks)
    for what, is_asked in (("mesh", asks.mesh), ("loading", asks.loading)):
        if is_asked:
            facts[f"asks {what}"] = "yes"
    for what, quantities in (("field", asks.fields), ("signal", asks.signals)):
        for quantity in quantities:
            text = _quantity(quantity)
            facts[f"asks {what} {quantity.name}"] = (
                f"{text}, optional" if quantity.optional else text
            )
    return facts


def _times(asks: Asks) -> str:
    """The trained times and where else an answer is given."""
    times = asks.times
    assert times is not None
    where = "between them too" if asks.between else "these only"
    where = f"{where}, and later" if asks.beyond else where
    return f"{len(times)} from {times[0]:g} to {times[-1]:g} s, {where}"


def _quantity(quantity: Quantity) -> str:
    return f"[{quantity.unit}] {quantity.components} component(s) on {quantity.place.value}"


@gate(box=Box)
def box_facts(box: Box | None) -> Facts:
    """Bounds, unit and scale of each parameter."""
    if box is None:
        return {}
    rows = zip(box.names, box.lower, box.upper, box.units, box.scales, strict=True)
    return {
        f"parameter {name}": f"{low:g} .. {high:g} [{unit}] {scale}"
        for name, low, high, unit, scale in rows
    }


@gate(basis=Basis)
def basis_facts(basis: Basis) -> Facts:
    """Modes asked and delivered, and the reason for a difference."""
    wishes = []
    if basis.rank_asked is not None:
        wishes.append(f"rank {basis.rank_asked}")
    if basis.tol_asked:
        wishes.append(f"tol {basis.tol_asked:g}")
    return {
        "dofs": basis.space.size,
        "modes delivered": basis.r,
        "asked": ", ".join(wishes) or "nothing",
        "reason": basis.reason or "not given",
        "relative error of the training set": basis.error,
    }
