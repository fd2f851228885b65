/* y = c + L a(mu), A_r(mu) a = f_r(mu), bound = (|T y| + guard sum_j |T_j| |y_j|) / alpha(mu). */

static void monomials(const double *mu, int terms, const double *coefficients, const double *powers, double *theta)
{
    for (int q = 0; q < terms; q++) {
        theta[q] = coefficients[q];
        for (int j = 0; j < P; j++)
            if (powers[q * P + j] != 0.0) theta[q] *= pow(mu[j], powers[q * P + j]);
    }
}

/* Gaussian elimination with partial pivoting, in place. */
static int solve(double *A, double *b)
{
    for (int k = 0; k < R; k++) {
        int pivot = k;
        for (int i = k + 1; i < R; i++)
            if (fabs(A[i * R + k]) > fabs(A[pivot * R + k])) pivot = i;
        if (!(fabs(A[pivot * R + k]) > 0.0)) return 0;
        if (pivot != k) {
            for (int j = 0; j < R; j++) { double t = A[k * R + j]; A[k * R + j] = A[pivot * R + j]; A[pivot * R + j] = t; }
            double t = b[k]; b[k] = b[pivot]; b[pivot] = t;
        }
        for (int i = k + 1; i < R; i++) {
            double factor = A[i * R + k] / A[k * R + k];
            for (int j = k; j < R; j++) A[i * R + j] -= factor * A[k * R + j];
            b[i] -= factor * b[k];
        }
    }
    for (int i = R - 1; i >= 0; i--) {
        for (int j = i + 1; j < R; j++) b[i] -= A[i * R + j] * b[j];
        b[i] /= A[i * R + i];
    }
    return 1;
}

/* A_r(mu) and f_r(mu). */
static void assemble(const double *theta_a, const double *theta_f, double *A, double *f)
{
    memset(A, 0, R * R * sizeof *A);
    memset(f, 0, R * sizeof *f);
    for (int q = 0; q < QA; q++)
        for (int i = 0; i < R * R; i++) A[i] += theta_a[q] * A_R[q * R * R + i];
    for (int q = 0; q < QF; q++)
        for (int i = 0; i < R; i++) f[i] += theta_f[q] * F_R[q * R + i];
#if SHIFT
    for (int q = 0; q < QA; q++)
        for (int i = 0; i < R; i++) f[i] -= theta_a[q] * G_R[q * R + i];
#endif
}

static void observe(const double *a, double *y)
{
    for (int k = 0; k < LINEAR; k++) {
        y[k] = CONSTANT[k];
        for (int i = 0; i < R; i++) y[k] += L_R[k * R + i] * a[i];
    }
}

#if STATES
static void begin(double *a) { memcpy(a, INITIAL, sizeof INITIAL); }

/* The theta-scheme, its loads the signal that holds during the step. */
static int advance(const double *in, double *a, int steps)
{
    double theta_a[QA], theta_f[QF], A[R * R], f[R];
    monomials(in, QA, C_A, P_A, theta_a);
    monomials(in, QF, C_F, P_F, theta_f);
    assemble(theta_a, theta_f, A, f);
    for (int step = 0; step < steps; step++) {
        double left[R * R], change[R];
        for (int i = 0; i < R; i++) {
            change[i] = DT * f[i] * (SIGNALS ? in[P] : 1.0);
            for (int j = 0; j < R; j++) {
                change[i] -= DT * A[i * R + j] * a[j];
                left[i * R + j] = M_R[i * R + j] + DT * THETA * A[i * R + j];
            }
        }
        if (!solve(left, change)) return 0;
        for (int i = 0; i < R; i++) a[i] += change[i];
    }
    return 1;
}

static int evaluate(const double *in, const double *a, double *y)
{
    (void)in;
    observe(a, y);
    return 1;
}
#else
static int evaluate(const double *in, const double *state, double *y)
{
    double theta_a[QA], theta_f[QF], A[R * R], a[R];
    (void)state;
    monomials(in, QA, C_A, P_A, theta_a);
    monomials(in, QF, C_F, P_F, theta_f);
    assemble(theta_a, theta_f, A, a);
    if (!solve(A, a)) return 0;
    observe(a, y);
#if K
    double coordinates[K], alpha = INFINITY, square = 0.0, round_off = 0.0;
    int at = 0;
    for (int q = 0; q < QF; q++) coordinates[at++] = theta_f[q];
    for (int q = 0; q < QA; q++) {
        if (SHIFT) coordinates[at++] = -theta_a[q];
        for (int i = 0; i < R; i++) coordinates[at++] = -theta_a[q] * a[i];
        if (theta_a[q] / THETA_REF[q] < alpha) alpha = theta_a[q] / THETA_REF[q];
    }
    for (int k = 0; k < K_ROWS; k++) {
        double sum = 0.0;
        for (int j = 0; j < K; j++) sum += T_R[k * K + j] * coordinates[j];
        square += sum * sum;
    }
    for (int j = 0; j < K; j++) round_off += T_SIZE[j] * fabs(coordinates[j]);
    y[LINEAR] = (sqrt(square) + GUARD * round_off) / (ALPHA * alpha);
#endif
    return 1;
}
#endif
