/* y = c + L a(mu) and its deviation, a ~ sum_k w_k N(mean_k, std_k^2) of Gaussian processes. */

static double profile(int form, double square)
{
    double d;
    switch (form) {
    case RBF: return exp(-0.5 * square);
    case MATERN12: return exp(-sqrt(square));
    case MATERN32: d = sqrt(3.0 * square); return (1.0 + d) * exp(-d);
    default: d = sqrt(5.0 * square); return (1.0 + d) * exp(-d) + 5.0 / 3.0 * square * exp(-d);
    }
}

static double squared_distance(const Op *op, const double *lengths, const double *z, const double *x)
{
    double sum = 0.0;
    for (int k = 0; k < op->n; k++) {
        double gap = (z[op->columns[k]] - x[op->columns[k]]) / lengths[k];
        sum += gap * gap;
    }
    return sum;
}

/* Terms come before what they are terms of. */
static double correlation(const Group *group, const double *z, const double *x)
{
    double stack[DEPTH] = {0.0};
    int top = 0;
    for (const Op *op = group->ops; op < group->ops + group->n_ops; op++) {
        double value = 0.0;
        switch (op->kind) {
        case SUM:
            top -= op->n;
            for (int k = 0; k < op->n; k++) value += op->weights[k] * stack[top + k];
            break;
        case PRODUCT:
            top -= op->n;
            value = 1.0;
            for (int k = 0; k < op->n; k++) value *= stack[top + k];
            break;
        case STATIONARY:
            value = profile(op->form, squared_distance(op, op->lengths, z, x));
            break;
        default:
            for (int q = 0; q < op->count; q++) {
                double phase = 0.0;
                for (int k = 0; k < op->n; k++)
                    phase += (z[op->columns[k]] - x[op->columns[k]]) * op->frequencies[q * op->n + k];
                value += op->weights[q] * profile(op->form, squared_distance(op, op->lengths + q * op->n, z, x)) * cos(TURN * phase);
            }
        }
        stack[top++] = value;
    }
    return stack[0];
}

static void lower_solve(int n, const double *L, double *b)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) b[i] -= L[i * n + j] * b[j];
        b[i] /= L[i * n + i];
    }
}

static void posterior(const Process *gp, const double *unit, double *mean, double *variance)
{
    double z[P], h[P + 1], cross[MOST], half[MOST], rest[P + 1];
    for (int j = 0; j < P; j++) {
        double bend = gp->bends ? gp->bends[j] : 0.0;
        z[j] = bend != 0.0 ? expm1(bend * unit[j]) / expm1(bend) : unit[j];
    }
    h[0] = 1.0;
    for (int j = 0; j < P; j++) h[j + 1] = z[j];
    for (const Group *group = gp->groups; group < gp->groups + gp->n_groups; group++) {
        double left = 1.0;
        for (int i = 0; i < gp->m; i++) half[i] = cross[i] = correlation(group, z, gp->x + i * P);
        lower_solve(gp->m, group->L, half);
        for (int i = 0; i < gp->m; i++) left -= half[i] * half[i];
        for (int k = 0; k < gp->k; k++) {
            rest[k] = h[k];
            for (int i = 0; i < gp->m; i++) rest[k] -= group->LH[i * gp->k + k] * half[i];
        }
        lower_solve(gp->k, group->A, rest);
        for (int k = 0; k < gp->k; k++) left += rest[k] * rest[k];
        left = group->stretch * group->stretch * ((left > 0.0 ? left : 0.0) + group->nugget);
        for (int o = 0; o < group->n_outputs; o++) {
            int i = group->outputs[o];
            mean[i] = 0.0;
            for (int k = 0; k < gp->k; k++) mean[i] += h[k] * gp->beta[k * R + i];
            for (int s = 0; s < gp->m; s++) mean[i] += cross[s] * gp->weights[s * R + i];
            variance[i] = left * gp->variance[i];
        }
    }
}

static int evaluate(const double *in, const double *state, double *y)
{
    double unit[P], mean[PROCESSES][R], variance[PROCESSES][R];
    (void)state;
    for (int j = 0; j < P; j++)
        unit[j] = LOGARITHMIC[j] ? log(in[j] / LOWER[j]) / log(UPPER[j] / LOWER[j]) : (in[j] - LOWER[j]) / (UPPER[j] - LOWER[j]);
    for (int k = 0; k < PROCESSES; k++) posterior(PROCESS + k, unit, mean[k], variance[k]);
    for (int o = 0; o < LINEAR; o++) {
        y[2 * o] = CONSTANT[o];
        y[2 * o + 1] = TAIL[o] * TAIL[o];
    }
    for (int i = 0; i < R; i++) {
        double a = 0.0, spread = 0.0;
        for (int k = 0; k < PROCESSES; k++) a += WEIGHTS[k] * mean[k][i];
        for (int k = 0; k < PROCESSES; k++) spread += WEIGHTS[k] * (variance[k][i] + (mean[k][i] - a) * (mean[k][i] - a));
        for (int o = 0; o < LINEAR; o++) {
            y[2 * o] += L_R[o * R + i] * a;
            y[2 * o + 1] += S_R[o * R + i] * S_R[o * R + i] * spread;
        }
    }
    for (int o = 0; o < LINEAR; o++) y[2 * o + 1] = sqrt(y[2 * o + 1]);
    return 1;
}
