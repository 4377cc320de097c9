/*
 * proto/bwe_limit.c: where the way was found to be full, and how sure that is.
 *
 * Of both estimators, the sender's and the receiver's: near it growth is careful, and once the rate
 * is above it by three deviations the limit must be elsewhere.
 */
#include "proto/bwe_impl.h"

#include <math.h>

void bwe_limit_learn(double *near, double *near_dev, double bps)
{
	double error = bps - *near;

	if (*near == 0 || fabs(error) > 3 * *near_dev) {
		*near = bps;
		*near_dev = 0.05 * bps;
		return;
	}
	*near += 0.1 * error;
	*near_dev = fmax(0.9 * *near_dev + 0.1 * fabs(error), 0.03 * *near);
}
