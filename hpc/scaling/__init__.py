"""Strong and weak scaling of a Gram POD, measured and modelled.

python -m hpc.scaling: measured on one and two ranks of this machine, modelled beyond.

    T = m b(n) / p + e(n)
        + sum over collectives of [2 log2(c) t_c + 2 N / B_c + 2 log2(P) alpha + 2 N beta + N gamma]

m dofs, n snapshots, r = 50 modes, p ranks on P nodes of c. b [s per row] is the cost of the Gram
matrix, of lifting and of making the modes orthonormal, e [s] that of the eigenproblem, which every
rank solves; the collectives are one of N = 8 n (n + 1) / 2 bytes and a few of 8 r (r + 1) / 2. b,
e, t_c and B_c are measured here, b and e also with every core at work, as on a full node: that is
what the model uses from two ranks on. alpha and beta of a network cannot be measured here and are
swept over what data sheets give.
"""
