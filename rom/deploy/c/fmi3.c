/* The interface of FMI 3.0 for co-simulation. */
#define FIRST 1 /* reference of the first input, after the time */
#include "unit.c"

typedef void (*Logger)(void *, Status, const char *, const char *);
typedef struct {
    Instance instance;
    Logger logger;
    void *environment;
} Wrapped;

static void say(void *instance, const char *name, const char *text)
{
    Wrapped *self = instance;
    (void)name;
    if (self->logger) self->logger(self->environment, ERROR, "logStatusError", text);
}

EXPORT const char *fmi3GetVersion(void) { return "3.0"; }
EXPORT Status fmi3SetDebugLogging(Component c, _Bool on, size_t n, const char *const names[]) { (void)c, (void)on, (void)n, (void)names; return OK; }

EXPORT Component fmi3InstantiateCoSimulation(const char *name, const char *token, const char *resources, _Bool visible, _Bool logging, _Bool events, _Bool early,
                                             const Reference needed[], size_t n_needed, void *environment, Logger logger, void *intermediate)
{
    (void)resources, (void)visible, (void)logging, (void)events, (void)early, (void)needed, (void)n_needed, (void)intermediate;
    Wrapped *self = create(sizeof *self, name, token, say);
    if (!self) return NULL;
    self->logger = logger;
    self->environment = environment;
    return self;
}

EXPORT void fmi3FreeInstance(Component c) { free(c); }
EXPORT Status fmi3EnterInitializationMode(Component c, _Bool a, double b, double d, _Bool e, double f) { (void)c, (void)a, (void)b, (void)d, (void)e, (void)f; return OK; }
EXPORT Status fmi3ExitInitializationMode(Component c) { return update(c); }
EXPORT Status fmi3EnterStepMode(Component c) { (void)c; return OK; }
EXPORT Status fmi3Terminate(Component c) { (void)c; return OK; }
EXPORT Status fmi3Reset(Component c) { start(c); return OK; }
EXPORT Status fmi3GetFloat64(Component c, const Reference refs[], size_t n, double values[], size_t count) { return n == count ? get(c, refs, n, values) : ERROR; }
EXPORT Status fmi3SetFloat64(Component c, const Reference refs[], size_t n, const double values[], size_t count) { return n == count ? set(c, refs, n, values) : ERROR; }
EXPORT Status fmi3DoStep(Component c, double time, double h, _Bool keep, _Bool *event, _Bool *terminate, _Bool *early, double *last)
{
    (void)keep;
    *event = *terminate = *early = 0;
    Status status = step(c, h);
    *last = status == OK ? time + h : time;
    return status;
}

#define NONE(name, ...) EXPORT Status name(__VA_ARGS__) { return ERROR; }
#define EMPTY(name, type) EXPORT Status name(Component c, const Reference r[], size_t n, type v[], size_t m) { (void)c, (void)r, (void)v, (void)m; return n ? ERROR : OK; }
#define NEVER(name, ...) EXPORT Component name(__VA_ARGS__) { return NULL; }
NEVER(fmi3InstantiateModelExchange, const char *a, const char *b, const char *d, _Bool e, _Bool f, void *g, void *h)
NEVER(fmi3InstantiateScheduledExecution, const char *a, const char *b, const char *d, _Bool e, _Bool f, void *g, void *h, void *i, void *j, void *k)
EMPTY(fmi3GetFloat32, float)
EMPTY(fmi3SetFloat32, const float)
EMPTY(fmi3GetInt8, signed char)
EMPTY(fmi3SetInt8, const signed char)
EMPTY(fmi3GetUInt8, unsigned char)
EMPTY(fmi3SetUInt8, const unsigned char)
EMPTY(fmi3GetInt16, short)
EMPTY(fmi3SetInt16, const short)
EMPTY(fmi3GetUInt16, unsigned short)
EMPTY(fmi3SetUInt16, const unsigned short)
EMPTY(fmi3GetInt32, int)
EMPTY(fmi3SetInt32, const int)
EMPTY(fmi3GetUInt32, unsigned)
EMPTY(fmi3SetUInt32, const unsigned)
EMPTY(fmi3GetInt64, long long)
EMPTY(fmi3SetInt64, const long long)
EMPTY(fmi3GetUInt64, unsigned long long)
EMPTY(fmi3SetUInt64, const unsigned long long)
EMPTY(fmi3GetBoolean, _Bool)
EMPTY(fmi3SetBoolean, const _Bool)
EMPTY(fmi3GetString, const char *)
EMPTY(fmi3SetString, const char *const)
NONE(fmi3GetBinary, Component c, const Reference r[], size_t n, size_t s[], const unsigned char *v[], size_t m)
NONE(fmi3SetBinary, Component c, const Reference r[], size_t n, const size_t s[], const unsigned char *const v[], size_t m)
NONE(fmi3GetClock, Component c, const Reference r[], size_t n, _Bool v[])
NONE(fmi3SetClock, Component c, const Reference r[], size_t n, const _Bool v[])
NONE(fmi3GetNumberOfVariableDependencies, Component c, Reference r, size_t *n)
NONE(fmi3GetVariableDependencies, Component c, Reference r, size_t e[], Reference i[], size_t j[], int k[], size_t n)
NONE(fmi3GetFMUState, Component c, void **s)
NONE(fmi3SetFMUState, Component c, void *s)
NONE(fmi3FreeFMUState, Component c, void **s)
NONE(fmi3SerializedFMUStateSize, Component c, void *s, size_t *n)
NONE(fmi3SerializeFMUState, Component c, void *s, unsigned char b[], size_t n)
NONE(fmi3DeserializeFMUState, Component c, const unsigned char b[], size_t n, void **s)
NONE(fmi3GetDirectionalDerivative, Component c, const Reference u[], size_t n, const Reference k[], size_t m, const double d[], size_t p, double o[], size_t q)
NONE(fmi3GetAdjointDerivative, Component c, const Reference u[], size_t n, const Reference k[], size_t m, const double d[], size_t p, double o[], size_t q)
NONE(fmi3EnterConfigurationMode, Component c)
NONE(fmi3ExitConfigurationMode, Component c)
NONE(fmi3EnterEventMode, Component c)
NONE(fmi3EnterContinuousTimeMode, Component c)
NONE(fmi3CompletedIntegratorStep, Component c, _Bool a, _Bool *e, _Bool *t)
NONE(fmi3SetTime, Component c, double t)
NONE(fmi3GetContinuousStates, Component c, double x[], size_t n)
NONE(fmi3SetContinuousStates, Component c, const double x[], size_t n)
NONE(fmi3GetContinuousStateDerivatives, Component c, double x[], size_t n)
NONE(fmi3GetNominalsOfContinuousStates, Component c, double x[], size_t n)
NONE(fmi3GetNumberOfContinuousStates, Component c, size_t *n)
NONE(fmi3GetNumberOfEventIndicators, Component c, size_t *n)
NONE(fmi3GetEventIndicators, Component c, double x[], size_t n)
NONE(fmi3EvaluateDiscreteStates, Component c)
NONE(fmi3UpdateDiscreteStates, Component c, _Bool *a, _Bool *b, _Bool *d, _Bool *e, _Bool *f, double *g)
NONE(fmi3GetOutputDerivatives, Component c, const Reference r[], size_t n, const int o[], double v[], size_t m)
NONE(fmi3ActivateModelPartition, Component c, Reference r, double t)
NONE(fmi3GetIntervalDecimal, Component c, const Reference r[], size_t n, double v[], int q[])
NONE(fmi3SetIntervalDecimal, Component c, const Reference r[], size_t n, const double v[])
NONE(fmi3GetShiftDecimal, Component c, const Reference r[], size_t n, double v[])
NONE(fmi3SetShiftDecimal, Component c, const Reference r[], size_t n, const double v[])
NONE(fmi3GetIntervalFraction, Component c, const Reference r[], size_t n, unsigned long long a[], unsigned long long b[], int q[])
NONE(fmi3SetIntervalFraction, Component c, const Reference r[], size_t n, const unsigned long long a[], const unsigned long long b[])
NONE(fmi3GetShiftFraction, Component c, const Reference r[], size_t n, unsigned long long a[], unsigned long long b[])
NONE(fmi3SetShiftFraction, Component c, const Reference r[], size_t n, const unsigned long long a[], const unsigned long long b[])
