/* Inside metrics.c and metrics_show.c: what is counted. */
#ifndef SN_SERVER_METRICS_DATA_H
#define SN_SERVER_METRICS_DATA_H

#include "server/metrics.h"

#define SV_MAX_BUCKETS 18
#define SV_MAX_ROUTES 128        /* counted apart; the document has fewer */
#define SV_MAX_STATUSES 24       /* of a route, counted apart */

typedef enum sv_scale { SV_SCALE_SECONDS, SV_SCALE_FACTOR, SV_SCALE_SCORE, SV_SCALE_SHARE, SV_SCALES } sv_scale;
typedef struct sv_buckets { int count; double most[SV_MAX_BUCKETS]; } sv_buckets;
extern const sv_buckets sv_scale_buckets[SV_SCALES];

typedef struct sv_distribution {
	int64_t buckets[SV_MAX_BUCKETS + 1]; /* the last: beyond all */
	int64_t count;
	double sum;
} sv_distribution;

typedef struct sv_route_counts {
	const sv_route *route;       /* NULL: paths that are no route's */
	sv_distribution time;
	int status_count;
	struct { int status; int64_t count; } statuses[SV_MAX_STATUSES]; /* the last counts all that are beyond */
} sv_route_counts;

struct sv_metrics {
	sv_server *server;
	pthread_mutex_t lock;
	double counters[SV_COUNTER_COUNT];
	sv_distribution histograms[SV_HISTOGRAM_COUNT];
	int route_count;
	sv_route_counts routes[SV_MAX_ROUTES];
	double started;              /* seconds since 1970 */
	/* the io thread's: the answer of /audio/health as it was made last */
	char *health;
	size_t health_size;
	double health_made;
	int health_stopping;
};

/* The value below which a share of the observations lies, by straight lines inside buckets. */
double sv_distribution_quantile(const sv_distribution *d, sv_scale scale, double share);
sv_scale sv_histogram_scale(sv_histogram histogram);

#endif
