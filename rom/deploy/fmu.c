/* y = c + L a(mu), A_r(mu) a = f_r(mu), bound = (|T y| + guard sum_j |T_j| |y_j|) / alpha(mu): constants in model.h, no library but libm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef void *Component;
typedef unsigned int Reference;
typedef int Status;
enum { OK = 0, WARNING = 1, DISCARD = 2, ERROR = 3 };
typedef void (*Logger)(void *, const char *, Status, const char *, const char *, ...);
typedef struct {
    Logger logger;
    void *allocate, *release, *finished, *environment;
} Callbacks;
typedef struct {
    double mu[P], y[OUTPUTS];
    int stale;
    Logger logger;
    void *environment;
    char name[128];
} Instance;

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

static Status update(Instance *self)
{
    double theta_a[QA], theta_f[QF], A[R * R], a[R];
    if (!self->stale) return OK;
    for (int j = 0; j < P; j++)
        if (!(self->mu[j] >= LOWER[j] && self->mu[j] <= UPPER[j])) {
            if (self->logger)
                self->logger(self->environment, self->name, ERROR, "logStatusError", "%s = %g is outside [%g, %g]: the model knows nothing there",
                             NAMES[j], self->mu[j], LOWER[j], UPPER[j]);
            return ERROR;
        }
    monomials(self->mu, QA, C_A, P_A, theta_a);
    monomials(self->mu, QF, C_F, P_F, theta_f);
    memset(A, 0, sizeof A);
    memset(a, 0, sizeof a);
    for (int q = 0; q < QA; q++)
        for (int i = 0; i < R * R; i++) A[i] += theta_a[q] * A_R[q * R * R + i];
    for (int q = 0; q < QF; q++)
        for (int i = 0; i < R; i++) a[i] += theta_f[q] * F_R[q * R + i];
#if SHIFT
    for (int q = 0; q < QA; q++)
        for (int i = 0; i < R; i++) a[i] -= theta_a[q] * G_R[q * R + i];
#endif
    if (!solve(A, a)) return ERROR;
    for (int k = 0; k < LINEAR; k++) {
        self->y[k] = CONSTANT[k];
        for (int i = 0; i < R; i++) self->y[k] += L_R[k * R + i] * a[i];
    }
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
    self->y[LINEAR] = (sqrt(square) + GUARD * round_off) / (ALPHA * alpha);
#endif
    self->stale = 0;
    return OK;
}

EXPORT const char *fmi2GetTypesPlatform(void) { return "default"; }
EXPORT const char *fmi2GetVersion(void) { return "2.0"; }
EXPORT Status fmi2SetDebugLogging(Component c, int on, size_t n, const char *const names[]) { (void)c, (void)on, (void)n, (void)names; return OK; }

EXPORT Component fmi2Instantiate(const char *name, int type, const char *guid, const char *resources, const Callbacks *callbacks, int visible, int logging)
{
    (void)type, (void)resources, (void)visible, (void)logging;
    if (strcmp(guid, GUID) != 0) return NULL;
    Instance *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    memcpy(self->mu, START, sizeof self->mu);
    self->stale = 1;
    self->logger = callbacks ? callbacks->logger : NULL;
    self->environment = callbacks ? callbacks->environment : NULL;
    strncpy(self->name, name ? name : "", sizeof self->name - 1);
    return self;
}

EXPORT void fmi2FreeInstance(Component c) { free(c); }
EXPORT Status fmi2SetupExperiment(Component c, int a, double b, double d, int e, double f) { (void)c, (void)a, (void)b, (void)d, (void)e, (void)f; return OK; }
EXPORT Status fmi2EnterInitializationMode(Component c) { (void)c; return OK; }
EXPORT Status fmi2ExitInitializationMode(Component c) { return update(c); }
EXPORT Status fmi2Terminate(Component c) { (void)c; return OK; }
EXPORT Status fmi2Reset(Component c) { Instance *self = c; memcpy(self->mu, START, sizeof self->mu); self->stale = 1; return OK; }

EXPORT Status fmi2GetReal(Component c, const Reference refs[], size_t n, double values[])
{
    Instance *self = c;
    for (size_t i = 0; i < n; i++) {
        if (refs[i] < P) { values[i] = self->mu[refs[i]]; continue; }
        if (refs[i] >= P + OUTPUTS || update(self) != OK) return ERROR;
        values[i] = self->y[refs[i] - P];
    }
    return OK;
}

EXPORT Status fmi2SetReal(Component c, const Reference refs[], size_t n, const double values[])
{
    Instance *self = c;
    for (size_t i = 0; i < n; i++) {
        if (refs[i] >= P) return ERROR;
        self->mu[refs[i]] = values[i];
    }
    self->stale = 1;
    return OK;
}

EXPORT Status fmi2DoStep(Component c, double time, double step, int keep) { (void)time, (void)step, (void)keep; return update(c); }
EXPORT Status fmi2CancelStep(Component c) { (void)c; return ERROR; }

#define NONE(name, ...) EXPORT Status name(__VA_ARGS__) { return ERROR; }
#define EMPTY(name, type) EXPORT Status name(Component c, const Reference r[], size_t n, type v[]) { (void)c, (void)r, (void)v; return n ? ERROR : OK; }
EMPTY(fmi2GetInteger, int)
EMPTY(fmi2GetBoolean, int)
EMPTY(fmi2GetString, const char *)
EMPTY(fmi2SetInteger, const int)
EMPTY(fmi2SetBoolean, const int)
EMPTY(fmi2SetString, const char *const)
NONE(fmi2GetFMUstate, Component c, void **s)
NONE(fmi2SetFMUstate, Component c, void *s)
NONE(fmi2FreeFMUstate, Component c, void **s)
NONE(fmi2SerializedFMUstateSize, Component c, void *s, size_t *n)
NONE(fmi2SerializeFMUstate, Component c, void *s, char b[], size_t n)
NONE(fmi2DeSerializeFMUstate, Component c, const char b[], size_t n, void **s)
NONE(fmi2GetDirectionalDerivative, Component c, const Reference u[], size_t n, const Reference k[], size_t m, const double d[], double o[])
NONE(fmi2SetRealInputDerivatives, Component c, const Reference r[], size_t n, const int o[], const double v[])
NONE(fmi2GetRealOutputDerivatives, Component c, const Reference r[], size_t n, const int o[], double v[])
NONE(fmi2GetStatus, Component c, int k, Status *v)
NONE(fmi2GetRealStatus, Component c, int k, double *v)
NONE(fmi2GetIntegerStatus, Component c, int k, int *v)
NONE(fmi2GetBooleanStatus, Component c, int k, int *v)
NONE(fmi2GetStringStatus, Component c, int k, const char **v)
