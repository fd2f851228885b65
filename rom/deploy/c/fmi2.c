/* The interface of FMI 2.0 for co-simulation. */
#define FIRST 0 /* reference of the first input */
#include "unit.c"

typedef void (*Logger)(void *, const char *, Status, const char *, const char *, ...);
typedef struct {
    Logger logger;
    void *allocate, *release, *finished, *environment;
} Callbacks;
typedef struct {
    Instance instance;
    Logger logger;
    void *environment;
} Wrapped;

static void say(void *environment, const char *name, const char *text)
{
    Wrapped *self = environment;
    if (self->logger) self->logger(self->environment, name, ERROR, "logStatusError", "%s", text);
}

EXPORT const char *fmi2GetTypesPlatform(void) { return "default"; }
EXPORT const char *fmi2GetVersion(void) { return "2.0"; }
EXPORT Status fmi2SetDebugLogging(Component c, int on, size_t n, const char *const names[]) { (void)c, (void)on, (void)n, (void)names; return OK; }

EXPORT Component fmi2Instantiate(const char *name, int type, const char *guid, const char *resources, const Callbacks *callbacks, int visible, int logging)
{
    (void)type, (void)resources, (void)visible, (void)logging;
    Wrapped *self = create(sizeof *self, name, guid, say);
    if (!self) return NULL;
    self->logger = callbacks ? callbacks->logger : NULL;
    self->environment = callbacks ? callbacks->environment : NULL;
    return self;
}

EXPORT void fmi2FreeInstance(Component c) { free(c); }
EXPORT Status fmi2SetupExperiment(Component c, int a, double b, double d, int e, double f) { (void)c, (void)a, (void)b, (void)d, (void)e, (void)f; return OK; }
EXPORT Status fmi2EnterInitializationMode(Component c) { (void)c; return OK; }
EXPORT Status fmi2ExitInitializationMode(Component c) { return update(c); }
EXPORT Status fmi2Terminate(Component c) { (void)c; return OK; }
EXPORT Status fmi2Reset(Component c) { start(c); return OK; }
EXPORT Status fmi2GetReal(Component c, const Reference refs[], size_t n, double values[]) { return get(c, refs, n, values); }
EXPORT Status fmi2SetReal(Component c, const Reference refs[], size_t n, const double values[]) { return set(c, refs, n, values); }
EXPORT Status fmi2DoStep(Component c, double time, double h, int keep) { (void)time, (void)keep; return step(c, h); }
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
