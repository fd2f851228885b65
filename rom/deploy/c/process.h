/* Kernels as operations in the order of their evaluation, and processes. */
enum { STATIONARY, SPECTRAL, SUM, PRODUCT };
enum { RBF, MATERN12, MATERN32, MATERN52 };
#define TURN 6.283185307179586
typedef struct {
    int kind, form, n, count;
    const int *columns;
    const double *weights, *frequencies, *lengths;
} Op;
typedef struct {
    const Op *ops;
    int n_ops;
    const double *L, *LH, *A;
    double nugget, stretch;
    const int *outputs;
    int n_outputs;
} Group;
typedef struct {
    int m, k;
    const double *x, *beta, *weights, *variance, *bends;
    const Group *groups;
    int n_groups;
} Process;
