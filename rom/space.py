"""The discrete Hilbert space: inner product, numbering, communicator.

The only place where ranks talk.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import NUMBER, check_members, integers, real, refuse_indefinite
from rom.brief import brief, brief_html
from rom.errors import BadInput, Singular

PROBE = 1e-11  # of the sum of all magnitudes: what round-off leaves of (u, v) - (v, u)
FORWARDING = 0.5  # seconds: launchers drop what they have not forwarded when a rank aborts
EXTENDED_SWEEPS = 3  # of refinement, for right-hand sides in extended precision


@dataclass(frozen=True, eq=False)
class Field:
    """A named part of a state: local rows (k,) and unit.

    components : how many each node carries, node by node
    nodes : (k / components,) node of a mesh that each carries, None for all of them in order
    elsewhere : value at nodes without an unknown, where `nodes` leaves some out
    """

    __repr__ = brief
    _repr_html_ = brief_html

    name: str
    unit: str
    rows: np.ndarray
    components: int = 1
    nodes: np.ndarray | None = None
    elsewhere: float | None = None

    def __post_init__(self) -> None:
        check_members(self, rows=integers)


@dataclass(frozen=True, eq=False)
class Space:
    """(u, v)_X = u^H X v on R^N or C^N, row-distributed.

    product : this rank's unassembled share of X, sparse (n, n) or a diagonal (n,); X is the sum
        of the shares
    numbers : global numbers (n,) of this rank's rows; interface dofs may appear on several ranks,
        a rank may be empty
    comm    : an mpi4py communicator, or None for serial
    fields  : named parts of the state with units
    riesz   : F -> X^{-1} F on assembled (N, k) arrays; by default one sparse direct factorisation
        per rank

    Primal vectors hold the same value wherever a dof appears; dual vectors hold shares that sum
    to the value.
    Raises BadInput where shapes, numbers or symmetry of the product are wrong.
    """

    __repr__ = brief
    _repr_html_ = brief_html

    product: Any
    numbers: np.ndarray
    comm: Any = None
    fields: tuple[Field, ...] = ()
    riesz: Callable[[np.ndarray], np.ndarray] | None = None
    size: int = field(init=False)
    owned: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        numbers = integers(self.numbers, "numbers")
        product = _checked_product(self.product, numbers)
        if numbers.size and (numbers.min() < 0 or not _are_distinct(numbers)):
            distinct = np.unique(numbers).size
            raise BadInput(
                f"numbers are {numbers.min()}..{numbers.max()}, {distinct} of {numbers.size} "
                "distinct; give each dof once, from 0"
            )
        object.__setattr__(self, "product", product)
        object.__setattr__(self, "numbers", numbers)
        everyone = _allgatherv(self.comm, numbers)
        tops = [int(part.max()) + 1 for part in everyone if part.size]
        size = max(tops, default=0)
        rank = self.comm.Get_rank() if self.comm is not None else 0
        covered = np.zeros(size, dtype=bool)
        for part in everyone[:rank]:
            covered[part] = True
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "owned", ~covered[numbers])
        for part in everyone[rank:]:
            covered[part] = True
        if not covered.all():
            raise BadInput(
                f"dof {int(np.argmin(covered))} of {size} belongs to no rank; "
                "numbers must cover 0..N-1"
            )
        if self.comm is None or self.comm.Get_size() == 1:
            refuse_indefinite(product)
        else:
            self._refuse_unsymmetric()

    def _refuse_unsymmetric(self) -> None:
        """BadInput where (u, v)_X != (v, u)_X or (u, u)_X < 0 for two test vectors."""
        angles = np.stack([self.numbers, self.numbers * np.sqrt(2.0) + 1.0], axis=1)
        U = np.cos(angles)
        local = U.T @ self.apply(U)
        size = np.abs(U).T @ np.abs(self.apply(U))
        (uu, uv), (vu, vv) = self.sum(local)
        share = self.product.diagonal() if sp.issparse(self.product) else self.product
        negative = self.sum(np.array([np.sum(self.whole(share).real < 0, dtype=float)]))[0]
        bar = PROBE * float(self.sum(size).max())
        if abs(uv - np.conj(vu)) > bar or min(uu.real, vv.real) < -bar or negative:
            raise BadInput(
                "the inner product, summed over the ranks, is not symmetric and positive; give "
                "shares of one that is"
            )

    @cached_property
    def n(self) -> int:
        """Local rows."""
        return self.numbers.size

    @cached_property
    def identity(self) -> bool:
        """Whether this rank's share of X is the identity."""
        return not sp.issparse(self.product) and bool((self.product == 1.0).all())

    def apply(self, U: np.ndarray) -> np.ndarray:
        """X U as a dual vector: no communication."""
        if sp.issparse(self.product):
            return np.asarray(self.product @ U)
        return np.asarray(U * (self.product if U.ndim == 1 else self.product[:, None]))

    def sum(self, share: np.ndarray) -> np.ndarray:
        """sum over ranks of `share`: one allreduce."""
        share = np.ascontiguousarray(share)
        if self.comm is None or self.comm.Get_size() == 1:
            return share
        total = np.empty_like(share)
        self.comm.Allreduce(share, total)
        return total

    @property
    def spread(self) -> bool:
        """Whether the rows lie on several ranks."""
        return self.comm is not None and self.comm.Get_size() > 1

    @property
    def root(self) -> bool:
        """Whether this is the first rank, which writes files."""
        return self.comm is None or self.comm.Get_rank() == 0

    def largest(self, values: np.ndarray) -> np.ndarray:
        """The largest over ranks of each of `values`."""
        if not self.spread:
            return values
        every = _allgatherv(self.comm, np.asarray(values)[None])
        return np.asarray(np.concatenate(every).max(axis=0))

    def tell(self, value: Any) -> Any:
        """Plain JSON of the first rank, on every rank."""
        text = json.dumps(value if self.root else None).encode()
        parts = _allgatherv(self.comm, np.frombuffer(text, np.uint8))
        return json.loads(parts[0].tobytes())

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(order, places, marks): where local `rows` stand among those of all ranks.

        marks (N,) : whether a dof is among them, on every rank; order (k,) : which of `rows` this
        rank hands out, each dof by one rank; places (k,) : theirs among the marked dofs, rising
        """
        order = np.flatnonzero(self.owned[rows])
        own = self.numbers[rows[order]]
        if not (np.diff(own) > 0).all():
            turn = np.argsort(own, kind="stable")
            order, own = order[turn], own[turn]
        marks = np.zeros(self.size, dtype=np.uint8)
        marks[own] = 1
        marks = self.sum(marks)
        if not own.size:
            return order, own, marks
        first, last = int(own[0]), int(own[-1]) + 1
        before = np.cumsum(marks[first:last]) - 1 + np.count_nonzero(marks[:first])
        return order, before[own - first], marks

    def bring(self, part: np.ndarray) -> list[np.ndarray]:
        """The arrays of all ranks on the first, in rank order; nothing on the others."""
        return _gatherv(self.comm, part)

    def pair(self, F: np.ndarray, U: np.ndarray) -> np.ndarray:
        """<F, U> = F^H U for dual F and primal U."""
        return self.sum(np.asarray(F.conj().T @ U))

    def inner(self, U: np.ndarray, V: np.ndarray) -> np.ndarray:
        """(U, V)_X = U^H X V, (k, l)."""
        return self.pair(U, V if self.identity else self.apply(V))

    def gram(self, U: np.ndarray) -> np.ndarray:
        """(U, U)_X, Hermitian to the last bit: one allreduce of k(k+1)/2 numbers."""
        if not sp.issparse(self.product):
            weighted = U if self.identity else U * np.sqrt(self.product)[:, None]
            local = weighted.conj().T @ weighted
        else:
            local = U.conj().T @ self.apply(U)
        return self.hermitian(local)

    def hermitian(self, share: np.ndarray) -> np.ndarray:
        """sum over ranks of the Hermitian part of `share` (k, k).

        One allreduce of k (k + 1) / 2 numbers.
        """
        if self.comm is None or self.comm.Get_size() == 1:
            return np.asarray(0.5 * (share + share.conj().T))
        upper = np.triu_indices(len(share))
        G = np.zeros_like(share)
        G[upper] = self.sum(0.5 * (share[upper] + share.conj().T[upper]))
        return np.asarray(np.triu(G) + np.triu(G, 1).conj().T)

    def norm(self, u: np.ndarray) -> Any:
        """|u|_X: a float for a vector, (k,) for columns."""
        square = self.sum(np.atleast_1d(np.sum((u.conj() * self.apply(u)).real, axis=0)))
        root = np.sqrt(np.maximum(square, 0.0))
        return float(root[0]) if u.ndim == 1 else root

    def peak(self, u: np.ndarray) -> int:
        """argmax |u| as a global number; the lowest number wins a tie."""
        local = np.array([-1.0, -1.0])
        if u.size:
            i = np.lexsort((self.numbers, -np.abs(u)))[0]
            local = np.array([abs(u[i]), float(self.numbers[i])])
        ranks = np.array(_allgatherv(self.comm, local))
        return int(min((-value, number) for value, number in ranks if number >= 0)[1])

    def take(self, U: np.ndarray, dofs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Rows of U at global numbers `dofs`, the same on every rank."""
        dofs = np.asarray(dofs, dtype=np.int64)
        values = np.zeros((dofs.size, *U.shape[1:]), dtype=U.dtype)
        mine = np.flatnonzero(self.owned)
        order = mine[np.argsort(self.numbers[mine])]
        place = np.searchsorted(self.numbers[order], dofs)
        inside = place < order.size
        inside[inside] = self.numbers[order[place[inside]]] == dofs[inside]
        values[inside] = U[order[place[inside]]]
        return self.sum(values)

    def gather(self, U: np.ndarray) -> np.ndarray:
        """A primal array with all N rows on every rank."""
        return self._collected(np.flatnonzero(self.owned), U)

    def assemble(self, F: np.ndarray) -> np.ndarray:
        """A dual array with all N rows, shares summed, on every rank."""
        return self._collected(np.arange(self.n), F)

    @property
    def _interface(self) -> tuple[np.ndarray, np.ndarray, int]:
        """What `_find_interface` says; kept without the lock that `cached_property` has."""
        parts: tuple[np.ndarray, np.ndarray, int] | None = self.__dict__.get("_parts")
        if parts is None:
            parts = self._find_interface()
            self.__dict__["_parts"] = parts
        return parts

    def _find_interface(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Rows (k,) on other ranks too, their places among shared dofs, their number."""
        everyone = np.concatenate(_allgatherv(self.comm, self.numbers))
        count = np.bincount(everyone, minlength=self.size)
        shared = np.flatnonzero(count > 1)
        rows = np.flatnonzero(count[self.numbers] > 1)
        return rows, np.searchsorted(shared, self.numbers[rows]), shared.size

    @property
    def shared(self) -> np.ndarray:
        """Whether other ranks hold a row as well, (n,)."""
        flags = np.zeros(self.n, dtype=bool)
        flags[self._interface[0]] = True
        return flags

    def whole(self, F: np.ndarray) -> np.ndarray:
        """Dual shares (n, ...) summed at this rank's own rows.

        One allreduce of the shared dofs alone.
        """
        if self.comm is None or self.comm.Get_size() == 1:
            return F
        rows, places, size = self._interface
        edge = np.zeros((size, *F.shape[1:]), dtype=F.dtype)
        edge[places] = F[rows]
        total = F.copy()
        total[rows] = self.sum(edge)[places]
        return total

    def _collected(self, rows: np.ndarray, U: np.ndarray) -> np.ndarray:
        numbers = np.concatenate(_allgatherv(self.comm, self.numbers[rows]))
        values = np.concatenate(_allgatherv(self.comm, np.ascontiguousarray(U[rows])))
        full = np.zeros((self.size, *U.shape[1:]), dtype=U.dtype)
        np.add.at(full, numbers, values)
        return full

    def matrix(self, share: Any) -> sp.csr_array:
        """The assembled (N, N) matrix of an unassembled `share`, on every rank."""
        coo = sp.coo_array(share)
        rows = np.concatenate(_allgatherv(self.comm, self.numbers[coo.row]))
        cols = np.concatenate(_allgatherv(self.comm, self.numbers[coo.col]))
        data = np.concatenate(_allgatherv(self.comm, coo.data))
        whole = sp.coo_array((data, (rows, cols)), shape=(self.size, self.size))
        return sp.csr_array(whole)

    @cached_property
    def _solver(self) -> Callable[[np.ndarray], np.ndarray]:
        if self.riesz is not None:
            return self.riesz
        if not sp.issparse(self.product):
            diagonal = self.assemble(self.product)
            return lambda F: F / diagonal[:, None]
        X = self.matrix(self.product).tocsc()
        try:
            from scipy.sparse.linalg import splu

            factors = splu(X, options={"SymmetricMode": True}, permc_spec="MMD_AT_PLUS_A")
        except RuntimeError as error:
            raise Singular(
                f"the inner product cannot be factorised ({error}); add a mass or boundary term, "
                "or remove fixed dofs"
            ) from error
        solve: Callable[[np.ndarray], np.ndarray] = factors.solve
        return solve

    def represent(self, F: np.ndarray) -> np.ndarray:
        """Riesz representers X^{-1} F of dual columns F (n, k), refined once.

        An F in extended precision is solved to its last digit.
        """
        if np.iscomplexobj(F):
            real_part, imaginary = self.represent(F.real.copy()), self.represent(F.imag.copy())
            return np.asarray(real_part + 1j * imaginary)
        full = self.assemble(F).reshape(self.size, -1)
        x = self._solver(full.astype(float)).astype(full.dtype)
        sweeps = 1 if full.dtype.itemsize <= 8 else EXTENDED_SWEEPS
        for _ in range(sweeps):
            defect = full - self.assemble(self.apply(x[self.numbers]))
            x = x + self._solver(defect.astype(float))
        return np.asarray(x[self.numbers].reshape(F.shape))

    def to_serial(self) -> Space:
        """The same space on one rank."""
        if any(part.nodes is not None for part in self.fields) and self.n < self.size:
            raise BadInput("nodes of free unknowns are known on one rank only; run it on one rank")
        fields = tuple(replace(f, rows=self._all_rows(f)) for f in self.fields)
        if sp.issparse(self.product):
            product = self.matrix(self.product)
        else:
            product = self.assemble(self.product)
        return Space(product, np.arange(self.size), None, fields, self.riesz)

    def _all_rows(self, part: Field) -> np.ndarray:
        mine = np.isin(np.arange(self.n), part.rows).astype(float)
        return np.flatnonzero(self.gather(mine[:, None])[:, 0])


def _are_distinct(numbers: np.ndarray) -> bool:
    """Whether no number stands twice; at once where they increase."""
    if (numbers[1:] > numbers[:-1]).all():
        return True
    ordered = np.sort(numbers)
    return bool((ordered[1:] > ordered[:-1]).all())


def _checked_product(product: Any, numbers: np.ndarray) -> Any:
    """A rank's share of X as a sparse (n, n) or a diagonal (n,) of finite numbers."""
    if sp.issparse(product):
        product = sp.csr_array(product)
        if product.dtype.kind not in NUMBER:
            raise BadInput(f"the inner product holds {product.dtype}; give numbers")
        if np.result_type(product.dtype, float) != product.dtype:
            product = product.astype(float)
        entries = product.data
        if product.shape != (numbers.size, numbers.size):
            raise BadInput(
                f"product has shape {product.shape} but numbers has {numbers.size} rows; "
                "give this rank's (n, n) share"
            )
    else:
        product = real(product, "the inner product")
        entries = product
        if product.shape != numbers.shape:
            raise BadInput(
                f"diagonal product has shape {product.shape}, numbers {numbers.shape}; "
                "give one weight per number, or a sparse (n, n)"
            )
    if not np.isfinite(np.abs(entries).sum()):
        where = int(np.argmax(np.abs(entries)))
        raise BadInput(
            f"the inner product holds NaN, Inf or too large a number at {where}; check the mesh "
            "for degenerate cells and the coefficients"
        )
    return product


def euclidean(numbers: int | np.ndarray, comm: Any = None, fields: tuple[Field, ...] = ()) -> Space:
    """(u, v) = sum over dofs of u v: interface dofs count once whatever the partition."""
    if isinstance(numbers, (int, np.integer)) and not isinstance(numbers, bool):
        if numbers < 0:
            raise BadInput(f"a space of {numbers} dofs; give how many there are")
        numbers = np.arange(numbers)
    numbers = integers(numbers, "numbers")
    if numbers.size and numbers.min() < 0:
        raise BadInput(f"numbers reach {numbers.min()}; give numbers of dofs, from 0")
    everyone = np.concatenate(_allgatherv(comm, numbers))
    count = np.bincount(everyone) if everyone.size else np.zeros(0)
    return Space(1.0 / count[numbers], numbers, comm, fields)


def meet(comm: Any) -> None:
    """Waits until all ranks are here."""
    _allgatherv(comm, np.zeros(1))


def _end_together(comm: Any) -> None:
    """From now on an exception that nobody catches ends all ranks, its rank named.

    Otherwise the others would wait for the rank that failed.
    """
    if sys.excepthook is not sys.__excepthook__:
        return

    def report(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        """The traceback, the rank, and the end of all ranks."""
        sys.__excepthook__(kind, error, trace)
        sys.stderr.write(f"error: rank {comm.Get_rank()}: {kind.__name__}: {error}\n")
        sys.stderr.flush()
        time.sleep(FORWARDING)
        comm.Abort(1)

    sys.excepthook = report


def _allgatherv(comm: Any, part: np.ndarray) -> list[np.ndarray]:
    """The arrays of all ranks, in rank order; they agree in all axes but the first."""
    if comm is None or comm.Get_size() == 1:
        return [np.ascontiguousarray(part)]
    counts, mine, raw = _raw_parts(comm, part)
    comm.Allgatherv(mine, (raw, (counts * _row_bytes(part)).tolist()))
    return _split(raw, counts, part)


def _gatherv(comm: Any, part: np.ndarray) -> list[np.ndarray]:
    """`_allgatherv` on the first rank alone."""
    if comm is None or comm.Get_size() == 1:
        return [np.ascontiguousarray(part)]
    counts, mine, raw = _raw_parts(comm, part, everywhere=False)
    comm.Gatherv(mine, (raw, (counts * _row_bytes(part)).tolist()), root=0)
    return _split(raw, counts, part) if comm.Get_rank() == 0 else []


def _row_bytes(part: np.ndarray) -> int:
    return int(np.prod(part.shape[1:], dtype=np.int64)) * part.itemsize


def _raw_parts(
    comm: Any, part: np.ndarray, *, everywhere: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of every rank, this rank's bytes, and room for those of all."""
    _end_together(comm)
    counts = np.empty(comm.Get_size(), dtype=np.int64)
    comm.Allgather(np.array([part.shape[0]], dtype=np.int64), counts)
    part = np.ascontiguousarray(part)
    mine = part.view(np.uint8).ravel() if part.size else np.empty(0, np.uint8)
    size = int(counts.sum()) * _row_bytes(part) if everywhere or comm.Get_rank() == 0 else 0
    return counts, mine, np.empty(size, dtype=np.uint8)


def _split(raw: np.ndarray, counts: np.ndarray, part: np.ndarray) -> list[np.ndarray]:
    """Bytes of all ranks as their arrays."""
    if raw.size:
        whole = raw.view(part.dtype).reshape(-1, *part.shape[1:])
    else:
        whole = np.empty((0, *part.shape[1:]), part.dtype)
    return np.split(whole, np.cumsum(counts)[:-1])
