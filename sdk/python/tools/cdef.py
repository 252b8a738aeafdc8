#!/usr/bin/env python3
"""Writes the C source of the binding from the public header, which stays the only place where a struct or a function is declared.

usage: cdef.py sonant.h OUT.c
"""

import re
import sys

from cffi import FFI

# What an engine's thread calls must neither wait nor take the interpreter's lock, so it is C. When a session may go on, an event descriptor
# is counted up, on which Python sleeps. The library's remarks are kept until Python fetches them; what there is no room for is counted.
SOURCE = """
#include <sonant/sonant.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define REMARKS 64

static struct { int level; char text[1024]; } remarks[REMARKS];
static pthread_mutex_t remarks_lock = PTHREAD_MUTEX_INITIALIZER;
static int remarks_first, remarks_lost;
static int sonant_remarks; /* that wait */

static void sonant_log(sn_log_level level, const char *text, void *payload) {
	pthread_mutex_lock(&remarks_lock);
	if (sonant_remarks < REMARKS) {
		const int at = (remarks_first + sonant_remarks++) % REMARKS;
		remarks[at].level = (int)level;
		snprintf(remarks[at].text, sizeof remarks[at].text, "%s", text);
	} else {
		remarks_lost++;
	}
	pthread_mutex_unlock(&remarks_lock);
}

/* The oldest remark's level, or -1: there is none now; behind the last one, how many were lost. */
static int sonant_remark(char *text, size_t size) {
	int level = -1;
	if (pthread_mutex_trylock(&remarks_lock) != 0) /* next time: in a forked child nobody may be left to open it */
		return level;
	if (sonant_remarks) {
		level = remarks[remarks_first].level;
		snprintf(text, size, "%s", remarks[remarks_first].text);
		remarks_first = (remarks_first + 1) % REMARKS;
		sonant_remarks--;
	} else if (remarks_lost) {
		level = SN_LOG_WARN;
		snprintf(text, size, "%d more remarks were lost: nobody fetched them", remarks_lost);
		remarks_lost = 0;
	}
	pthread_mutex_unlock(&remarks_lock);
	return level;
}

static void sonant_wake(void *payload) {
	const uint64_t one = 1;
	ssize_t written = write((int)(intptr_t)payload, &one, sizeof one);
	(void)written; /* a full counter wakes, too */
}
"""
OURS = """
void sonant_wake(void *payload);
void free(void *);
extern "Python" int sonant_progress(void *payload, double seconds, double total);
extern "Python" void sonant_segment(void *payload, const sn_segment *segment);
extern "Python" int sonant_pull_progress(void *payload, const sn_pull_state *state);
extern "Python" int sonant_part(void *payload, const char *part, double share);
int sonant_remarks;
void sonant_log(sn_log_level level, const char *text, void *payload);
int sonant_remark(char *text, size_t size);
"""
RESULT = re.compile(r"X\((\w+), (-?\d+), ")
CONSTANT = re.compile(r"^#define (SN_\w+) (?:\d+|\(\(size_t\)\d+(?: << \d+)?\))$", re.MULTILINE)


def declarations(header: str) -> str:
    """The header as cffi reads it: no comments, no macros but whole numbers, the list of results as an enumeration."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    results = ", ".join(f"{name} = {value}" for name, value in RESULT.findall(text))
    constants = CONSTANT.findall(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"^typedef enum sn_result .*$", f"typedef enum sn_result {{ {results} }} sn_result;", text, flags=re.MULTILINE)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'extern "C" \{', "", text)
    text = re.sub(r"\n\}\s*\Z", "\n", text).replace("SN_API ", "")
    text = re.sub(r"\[SN_\w+(?: \+ \d+)?\]", "[...]", text)
    return "".join(f"#define {name} ...\n" for name in constants) + text


def main(header: str, out: str) -> None:
    with open(header, encoding="utf-8") as file:
        text = declarations(file.read())
    ffi = FFI()
    ffi.cdef(text + OURS)
    ffi.set_source("sonant._native", SOURCE)
    ffi.emit_c_code(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
