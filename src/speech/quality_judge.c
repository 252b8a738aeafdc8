/* From facts to a score on one scale, and to problems in words. */
#include "speech/quality_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What speech is like where nobody would complain. */
#define MIN_LOUDNESS (-38.0)     /* LUFS */
#define MAX_LOUDNESS (-8.0)
#define SILENT (-60.0)           /* dBFS of the peak */
#define MAX_CLIPPING 1e-4        /* share of samples */
#define MAX_DC 0.02
#define MIN_SNR 12.0             /* dB */
#define MIN_BANDWIDTH 5000.0     /* Hz; a telephone has 3400 */
#define MAX_SILENCE 0.8          /* share of time */
#define MIN_SPEECH 0.02
#define MIN_DURATION 1.0         /* seconds, for scores that mean something */
#define POOR 2.5f                /* scores */
#define CLEAN_SNR 40.0           /* dB from which on the ratio says no more */

/* Problems with what each takes from the score, worst first. */
typedef struct judge {
	sn_quality *quality;
	double costs[SN_MAX_PROBLEMS];
} judge;

__attribute__((format(printf, 4, 5))) static void find(judge *j, const char *code, double cost, const char *format, ...) {
	sn_quality *const q = j->quality;
	va_list args;
	if (q->problem_count == SN_MAX_PROBLEMS)
		return;
	int at = q->problem_count++;
	for (; at > 0 && j->costs[at - 1] < cost; at--) {
		j->costs[at] = j->costs[at - 1];
		q->problems[at] = q->problems[at - 1];
	}
	j->costs[at] = cost;
	snprintf(q->problems[at].code, sizeof q->problems[at].code, "%s", code);
	va_start(args, format);
	vsnprintf(q->problems[at].message, sizeof q->problems[at].message, format, args);
	va_end(args);
}

static void find_level_problems(judge *j) {
	const sn_quality *const q = j->quality;
	const double loudness = (double)q->loudness, clipping = (double)q->clipping;
	if (clipping > MAX_CLIPPING)
		find(j, "clipped", fmin(0.2 + 40 * clipping, 2), "%.2g %% of the samples are cut off at full scale, in %lld places",
			100 * clipping, (long long)q->clipped_runs);
	if (loudness < MIN_LOUDNESS)
		find(j, "quiet", fmin((MIN_LOUDNESS - loudness) / 40, 0.5),
			"the loudness is %.1f LUFS; speech is usually between -30 and -14 LUFS", loudness);
	if (loudness > MAX_LOUDNESS)
		find(j, "loud", fmin((loudness - MAX_LOUDNESS) / 10, 0.5),
			"the loudness is %.1f LUFS; speech is usually between -30 and -14 LUFS", loudness);
	if (fabs((double)q->dc) > MAX_DC)
		find(j, "dc", 0.1, "the samples are shifted by %.3f of full scale", (double)q->dc);
}

static void find_signal_problems(judge *j) {
	const sn_quality *const q = j->quality;
	if ((double)q->bandwidth < MIN_BANDWIDTH && q->sample_rate >= 2 * MIN_BANDWIDTH)
		find(j, "narrow", 0.2, "there is nothing above %.0f Hz, as from a telephone, though the sample rate is %d Hz",
			(double)q->bandwidth, q->sample_rate);
	else if (q->sample_rate < 2 * MIN_BANDWIDTH)
		find(j, "narrow", 0.2, "a sample rate of %d Hz holds nothing above %d Hz", q->sample_rate, q->sample_rate / 2);
	if (q->silence > MAX_SILENCE)
		find(j, "mostly_silence", 0.5, "%.0f %% of the time there is no sound", 100 * (double)q->silence);
	if (q->speech >= 0 && (double)q->speech < MIN_SPEECH)
		find(j, "no_speech", 0.5, "no speech was found");
	if ((double)q->snr < MIN_SNR || (q->scores.windows && q->scores.background < POOR))
		find(j, "noisy", q->scores.windows ? 0 : 0.2, "the loud parts are only %.0f dB above the quiet ones%s", (double)q->snr,
		     q->scores.windows && q->scores.background < POOR ? ", and the background scores low" : "");
	if (q->scores.windows && q->scores.signal < POOR)
		find(j, "poor_signal", 0, "the speech itself scores %.1f of 5: distorted, far away or coded badly",
			(double)q->scores.signal);
	if (q->scores.windows && q->scores.overall < 2)
		find(j, "poor_overall", 0, "listeners would give it %.1f of 5", (double)q->scores.overall);
	if (q->duration < MIN_DURATION)
		find(j, "too_short", 0, "%.2f s are too short for scores that mean much", q->duration);
}

void sn_quality_judge(sn_quality *q, const sn_level_facts *f) {
	judge j = { .quality = q };
	q->snr = (float)f->snr;
	q->noise_floor = (float)f->floor;
	q->loudness = (float)f->loudness;
	q->loudness_range = (float)f->range;
	q->peak = (float)f->peak;
	q->true_peak = (float)f->true_peak;
	q->rms = (float)f->rms;
	q->dc = (float)f->dc;
	q->clipping = (float)f->clipping;
	q->clipped_runs = f->clipped_runs;
	q->silence = (float)f->silence;
	q->bandwidth = (float)f->bandwidth;
	if (f->peak < SILENT) {
		find(&j, "silent", 5, "there is no sound: the loudest sample is at %.0f dBFS", f->peak);
		q->score = 1;
		return;
	}
	find_level_problems(&j);
	find_signal_problems(&j);
	double score = q->scores.windows ? (double)q->scores.overall : 1 + 3.5 * fmin(f->snr / CLEAN_SNR, 1);
	for (int i = 0; i < q->problem_count; i++)
		score -= j.costs[i];
	q->score = (float)fmin(fmax(score, 1), 5);
}
