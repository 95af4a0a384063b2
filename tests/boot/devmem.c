// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a guest: a program that drives the PL031 through /dev/mem with instructions that the CPU does
 * not describe to KVM. One line "went well", or what did not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define PL031_BASE 0x09010000
#define RTCMR	   4 /* match; RTCDR, the time, is before it, and RTCLR, which sets it, behind */

#define MATCH UINT32_C(0xfedcba98)
#define TIME  UINT32_C(0x10203040)

static sigjmp_buf behind;

static void killed(int signal)
{
	siglongjmp(behind, signal);
}

/* The clock was set a moment ago. */
static int is_time(uint32_t value)
{
	return value >= TIME && value < TIME + 60;
}

static int check(int holds, const char *what)
{
	if (!holds)
		printf("wrong: %s\n", what);
	return holds;
}

static int drive(uint8_t *pl031)
{
	uint32_t time, match, vector[4];
	uint8_t *place = pl031 + RTCMR;
	int well = 1;

	__asm__ volatile("stp %w0, %w1, [%2]" : : "r"(MATCH), "r"(TIME), "r"(place) : "memory");
	__asm__ volatile("ldp %w0, %w1, [%2]" : "=&r"(time), "=&r"(match) : "r"(pl031) : "memory");
	well &= check(is_time(time) && match == MATCH, "STP, then LDP");
	__asm__ volatile("ldr %w0, [%1], #4" : "=&r"(match), "+r"(place) : : "memory");
	well &= check(match == MATCH && place == pl031 + 2 * RTCMR, "LDR with write-back");
	__asm__ volatile("ld1 {v0.4s}, [%0]\n\tst1 {v0.4s}, [%1]"
			 :
			 : "r"(pl031), "r"(vector)
			 : "v0", "memory");
	well &= check(is_time(vector[0]) && vector[1] == MATCH, "LD1");
	return well;
}

int main(void)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	uint8_t *pl031 = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PL031_BASE);
	uint32_t value;

	if (fd < 0 || pl031 == MAP_FAILED) {
		perror("/dev/mem");
		return 1;
	}
	if (!drive(pl031))
		return 1;
	/* An exclusive one is refused, which costs a process and no more. */
	signal(SIGBUS, killed);
	if (sigsetjmp(behind, 1) == 0) {
		__asm__ volatile("ldxr %w0, [%1]" : "=r"(value) : "r"(pl031) : "memory");
		printf("wrong: LDXR came back\n");
		return 1;
	}
	printf("went well\n");
	return 0;
}
