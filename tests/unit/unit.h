/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every unit test needs: cmocka, and what nidus says on standard error, caught.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * Setup and teardown that catch standard error while a test runs. Reports of the sanitizers still
 * go where they did.
 */
int catch_begin(void **state);
int catch_end(void **state);

/* A test with the two above around it. */
#define caught_test(function) cmocka_unit_test_setup_teardown(function, catch_begin, catch_end)

/* What was said since the last call, or since the test began. Valid until the next call. */
const char *said(void);

/* One line was said, and it holds text. */
#define assert_said(text) assert_said_at(text, __FILE__, __LINE__)
void assert_said_at(const char *text, const char *file, int line);

/* Nothing was said. */
#define assert_silent() assert_string_equal(said(), "")

/* A directory of this test's own, empty; its name. Removed with all in it by scratch_end(). */
const char *scratch_begin(void);
void scratch_end(void);

/*
 * Calls function(opaque) in a process of its own, which is killed when it opens anything by a path.
 * 0: it was not, and function said true.
 */
int without_opening(bool (*function)(void *opaque), void *opaque);

/* Numbers that look random and are the same on every run. */
uint64_t chance(uint64_t *seed);

#endif
