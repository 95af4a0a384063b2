// SPDX-License-Identifier: GPL-2.0-only
#include "root/root_init.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "init/init.h"
#include "root/root_mount.h"
#include "root_params.h"
#include "util.h"

#define CMDLINE	    "/proc/cmdline"
#define CMDLINE_MAX 4096 /* bytes; arm64 has no more than 2048 */

static void read_cmdline(char *text, size_t size)
{
	FILE *file = fopen(CMDLINE, "re");

	*text = '\0';
	if (!file || !fgets(text, size, file))
		log_error(CMDLINE ": %s", file ? "is empty" : strerror(errno));
	if (file)
		fclose(file);
}

/* Returns what is in the way. The environment is the one that the kernel has made of its words. */
static int start(const char *program, char **argv)
{
	argv[0] = (char *)program;
	execv(program, argv);
	return errno;
}

/*
 * What the kernel would have started (init/main.c), had it mounted the directory itself. It has
 * left us the arguments that are init's; what init= says it has kept to itself.
 */
static void start_init(char **argv)
{
	static const char *const programs[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };
	char cmdline[CMDLINE_MAX], named[PATH_MAX];
	int error;

	read_cmdline(cmdline, sizeof(cmdline));
	if (root_params_find(cmdline, "init", named, sizeof(named))) {
		error = start(named, argv);
		log_error("root: init=%s: %s", named, strerror(error));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		error = start(programs[i], argv);
		if (error != ENOENT)
			log_error("root: %s: %s", programs[i], strerror(error));
	}
	log_error("root: the directory has no init that can be started: name one by init= among "
		  "the kernel's parameters");
}

void root_init(char **argv)
{
	/* Nobody needs it any more when this program gives way to another. */
	unlink("/init");
	if (root_enter(NULL) == 0)
		start_init(argv);
	sync();
	init_end();
}
