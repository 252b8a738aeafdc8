/* Inverse of the monotonic piecewise rational quadratic spline (Durkan et al., Neural Spline Flows, 2019) with linear tails. */
#ifndef SN_NN_CPU_SPLINE_H
#define SN_NN_CPU_SPLINE_H

/* params: [bins] widths, [bins] heights, [bins - 1] inner derivatives, all unnormalised; bins from 1 to 999 (every bin keeps a
 * thousandth of the interval). *y is the input for which the spline on [-bound, bound] gives x; outside it is x. */
void nn_spline_inverse_row(const float *params, int bins, float bound, float x, float *y);

#endif
