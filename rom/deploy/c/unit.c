/* An instance of a unit: inputs, outputs, state, time. Constants in model.h; no library but libm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"
#include "kind.c"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef void *Component;
typedef unsigned int Reference;
typedef int Status;
enum { OK = 0, WARNING = 1, DISCARD = 2, ERROR = 3 };
typedef struct {
    double in[INPUTS], y[OUTPUTS], state[STATES + 1];
    int stale;
    void (*say)(void *self, const char *name, const char *text);
    char name[128];
} Instance;

static void start(Instance *self)
{
    memcpy(self->in, START, sizeof self->in);
    self->stale = 1;
#if STATES
    begin(self->state);
#endif
}

/* An instance, first in `size` bytes; NULL for the unit of another model. */
static void *create(size_t size, const char *name, const char *guid, void (*say)(void *, const char *, const char *))
{
    if (!guid || strcmp(guid, GUID) != 0) return NULL;
    Instance *self = calloc(1, size);
    if (!self) return NULL;
    self->say = say;
    strncpy(self->name, name ? name : "", sizeof self->name - 1);
    start(self);
    return self;
}

/* Whether the parameters lie in the box; says which does not. */
static int is_inside(Instance *self)
{
    for (int j = 0; j < P; j++)
        if (!(self->in[j] >= LOWER[j] && self->in[j] <= UPPER[j])) {
            char text[256] = "outside the box, where the model knows nothing: ";
            strncat(text, NAMES[j], sizeof text - strlen(text) - 1);
            self->say(self, self->name, text);
            return 0;
        }
    return 1;
}

static Status update(Instance *self)
{
    if (!self->stale) return OK;
    if (!is_inside(self) || !evaluate(self->in, self->state, self->y)) return ERROR;
    self->stale = 0;
    return OK;
}

static Status step(Instance *self, double h)
{
#if STATES
    double count = h / DT;
    int steps = (int)floor(count + 0.5);
    if (steps < 0 || fabs(count - steps) > 1e-6 * (1.0 + fabs(count))) {
        self->say(self, self->name, "the step is no multiple of the model's own");
        return ERROR;
    }
    if (!is_inside(self) || !advance(self->in, self->state, steps)) return ERROR;
    self->stale = 1;
#else
    (void)h;
#endif
    return update(self);
}

static Status get(Instance *self, const Reference refs[], size_t n, double values[])
{
    for (size_t i = 0; i < n; i++) {
        Reference place = refs[i] - FIRST;
        if (place < INPUTS) { values[i] = self->in[place]; continue; }
        if (place >= INPUTS + OUTPUTS || update(self) != OK) return ERROR;
        values[i] = self->y[place - INPUTS];
    }
    return OK;
}

static Status set(Instance *self, const Reference refs[], size_t n, const double values[])
{
    for (size_t i = 0; i < n; i++) {
        Reference place = refs[i] - FIRST;
        if (place >= INPUTS) return ERROR;
        self->in[place] = values[i];
    }
    self->stale = 1;
    return OK;
}
