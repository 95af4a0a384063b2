// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets that have names: what both sides are able to, threads, the target's description, the
 * user's own commands, and how vCPUs go on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gdb.h"
#include "util.h"

#define COMMAND_MAX 512 /* of a user's command */
#define ANSWER_MAX  (GDB_PACKET / 2)
#define LISTED_MAX  100 /* threads in an answer */

static void query_supported(struct gdb *gdb, const char *rest)
{
	gdb->names_reasons = strstr(rest, "swbreak+") && strstr(rest, "hwbreak+");
	gdb_begin(gdb);
	gdb_add(gdb, "PacketSize=%x;QStartNoAckMode+;multiprocess+;vContSupported+;", GDB_PACKET);
	gdb_add(gdb, "swbreak+;hwbreak+;qXfer:features:read+;qXfer:threads:read+");
	gdb_end(gdb);
}

static void start_no_ack(struct gdb *gdb, const char *rest)
{
	(void)rest;
	gdb_answer(gdb, "OK");
	gdb->acknowledges = false;
}

static void query_watchpoints(struct gdb *gdb, const char *rest)
{
	(void)rest;
	gdb_begin(gdb);
	gdb_add(gdb, "num:%u;", gdb->ops->watchpoint_count(gdb->target));
	gdb_end(gdb);
}

static void query_thread(struct gdb *gdb, const char *rest)
{
	(void)rest;
	gdb_begin(gdb);
	gdb_add(gdb, "QC");
	gdb_add_thread(gdb, gdb->general);
	gdb_end(gdb);
}

static void set_non_stop(struct gdb *gdb, const char *rest)
{
	gdb_answer(gdb, *rest == '0' ? "OK" : "E.all vCPUs stop together: set non-stop off");
}

static void tell_more_threads(struct gdb *gdb, const char *rest)
{
	unsigned int n = 0;

	(void)rest;
	gdb_begin(gdb);
	while (n < LISTED_MAX && gdb->ops->next_thread(gdb->target, &gdb->listed)) {
		gdb_add(gdb, n++ == 0 ? "m" : ",");
		gdb_add_thread(gdb, gdb->listed);
	}
	if (n == 0)
		gdb_add(gdb, "l");
	gdb_end(gdb);
}

static void tell_threads(struct gdb *gdb, const char *rest)
{
	gdb->listed = (struct gdb_thread){ 0 };
	tell_more_threads(gdb, rest);
}

static void list_threads(struct gdb *gdb, struct gdb_text *text)
{
	struct gdb_thread thread = { 0 };

	gdb_text_add(text, "<threads>");
	while (gdb->ops->next_thread(gdb->target, &thread)) {
		gdb_text_add(text, "<thread id=\"p%x.%x\" name=\"", thread.process, thread.thread);
		gdb->ops->thread_name(gdb->target, thread, text);
		gdb_text_add(text, "\"/>");
	}
	gdb_text_add(text, "</threads>");
}

/* OFFSET,LENGTH of a text that is made anew each time. */
static void transfer(struct gdb *gdb, const char *rest,
		     void (*fill)(struct gdb *gdb, struct gdb_text *text))
{
	char part[ANSWER_MAX];
	struct gdb_text text = { .to = part, .room = sizeof(part) };
	uint64_t offset, length;
	size_t size;

	if (!gdb_read_number(&rest, &offset) || !gdb_read_char(&rest, ',') ||
	    !gdb_read_number(&rest, &length)) {
		gdb_answer_error(gdb, -EINVAL);
		return;
	}
	text.skip = offset;
	if (text.room > length)
		text.room = length;
	fill(gdb, &text);
	size = text.length > offset ? text.length - offset : 0;
	gdb_begin(gdb);
	gdb_add(gdb, size > text.room ? "m" : "l");
	gdb_add_binary(gdb, part, size > text.room ? text.room : size);
	gdb_end(gdb);
}

static void transfer_threads(struct gdb *gdb, const char *rest)
{
	transfer(gdb, rest, list_threads);
}

static void describe(struct gdb *gdb, struct gdb_text *text)
{
	gdb->ops->describe(gdb->target, text);
}

static void transfer_features(struct gdb *gdb, const char *rest)
{
	transfer(gdb, rest, describe);
}

static void run_command(struct gdb *gdb, const char *rest)
{
	char line[COMMAND_MAX + 1], said[ANSWER_MAX - 1];
	struct gdb_text text = { .to = said, .room = sizeof(said) };
	const size_t size = strlen(rest) / 2;

	if (size > COMMAND_MAX || !gdb_read_hex(&rest, line, size) || *rest) {
		gdb_answer_error(gdb, -EINVAL);
		return;
	}
	line[size] = '\0';
	gdb->ops->monitor(gdb->target, gdb->general, line, &text);
	if (text.length == 0) {
		gdb_answer(gdb, "OK");
		return;
	}
	gdb_begin(gdb);
	gdb_add_hex(gdb, said, text.length > text.room ? text.room : text.length);
	gdb_end(gdb);
}

static void attach(struct gdb *gdb, const char *rest)
{
	struct gdb_thread any = { 0 }, thread;
	uint64_t process;
	int err = -EINVAL;

	if (gdb_read_number(&rest, &process) && process <= INT32_MAX)
		err = gdb->ops->attach(gdb->target, any.process = process);
	if (err < 0 || !gdb_find_thread(gdb, any, &thread)) {
		gdb_answer_error(gdb, err < 0 ? err : -ESRCH);
		return;
	}
	gdb->general = thread;
	gdb->stop = (struct gdb_stop){ .thread = thread };
	gdb_answer_stop(gdb);
}

static void kill_target(struct gdb *gdb, const char *rest)
{
	(void)rest;
	gdb_answer(gdb, "OK");
	gdb->ops->kill(gdb->target);
}

/* ;ACTION[:THREAD]...: for a thread the first that it matches counts. */
static bool find_action(const char *text, struct gdb_thread thread, enum gdb_action *action)
{
	bool found = false;

	*action = GDB_STAY;
	while (*text) {
		struct gdb_thread pattern = { 0 };
		char letter;
		uint64_t signal;

		if (!gdb_read_char(&text, ';') || !*text || !strchr("cCsS", *text))
			return false;
		letter = *text++;
		/* There is nothing that a signal could be given to. */
		if ((letter == 'C' || letter == 'S') && !gdb_read_number(&text, &signal))
			return false;
		if (gdb_read_char(&text, ':') && !gdb_read_thread(&text, &pattern))
			return false;
		if (!found && gdb_thread_matches(pattern, thread)) {
			*action = letter == 'c' || letter == 'C' ? GDB_CONTINUE : GDB_STEP;
			found = true;
		}
	}
	return true;
}

static void go_on(struct gdb *gdb, const char *rest)
{
	struct gdb_thread thread = { 0 };
	enum gdb_action action;
	bool any = false;

	while (gdb->ops->next_thread(gdb->target, &thread)) {
		if (!find_action(rest, thread, &action)) {
			gdb_answer_error(gdb, -EINVAL);
			return;
		}
		gdb->ops->act(gdb->target, thread, action);
		any |= action != GDB_STAY;
	}
	if (!any) {
		gdb_answer_error(gdb, -ESRCH);
		return;
	}
	gdb->running = true;
	gdb->ops->resume(gdb->target);
}

void gdb_move(struct gdb *gdb, const char *packet)
{
	const char letter = packet[0];
	const bool steps = letter == 's' || letter == 'S';
	const bool alone = gdb->moved.thread > 0;
	const struct gdb_thread thread = alone ? gdb->moved : gdb->general;
	char actions[64];
	uint64_t signal;

	packet++;
	/* With no signal, as nothing takes one, and from where it is, not from an address. */
	if (((letter == 'C' || letter == 'S') && !gdb_read_number(&packet, &signal)) || *packet) {
		gdb_answer_error(gdb, -EINVAL);
		return;
	}
	if (!alone && !steps)
		snprintf(actions, sizeof(actions), ";c");
	else
		snprintf(actions, sizeof(actions), ";%c:p%x.%x%s", steps ? 's' : 'c',
			 thread.process, thread.thread, alone ? "" : ";c");
	go_on(gdb, actions);
}

/* Both by how they begin, or with ends as a whole: what always has the same answer, and all else.
 */
static const struct {
	const char *name, *answer;
} facts[] = {
	{ "qAttached", "1" },
	{ "vCont?", "vCont;c;C;s;S" },
	/* LLDB takes it else that what a watchpoint stops at is over. */
	{ "qHostInfo", "watchpoint_exceptions_received:before;" },
	/* So LLDB selects no thread for registers: memory is seen by the one that stopped. */
	{ "QThreadSuffixSupported", "OK" },
};

static const struct {
	const char *name;
	void (*answer)(struct gdb *gdb, const char *rest);
} queries[] = {
	{ "qSupported", query_supported },
	{ "QStartNoAckMode", start_no_ack },
	{ "QNonStop:", set_non_stop },
	{ "qWatchpointSupportInfo:", query_watchpoints },
	{ "qC", query_thread },
	{ "qfThreadInfo", tell_threads },
	{ "qsThreadInfo", tell_more_threads },
	{ "qXfer:features:read:target.xml:", transfer_features },
	{ "qXfer:threads:read::", transfer_threads },
	{ "qRcmd,", run_command },
	{ "vAttach;", attach },
	{ "vKill;", kill_target },
	{ "vCont", go_on },
};

static bool is_named(const char *packet, const char *name)
{
	const size_t length = strlen(name);

	if (strncmp(packet, name, length) != 0)
		return false;
	/* A name that is a part of another one's, as qC is of qCRC, and does not end there. */
	return strchr(":;,?", name[length - 1]) || strchr(":;", packet[length]);
}

bool gdb_query(struct gdb *gdb, const char *packet)
{
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		if (is_named(packet, facts[i].name)) {
			gdb_answer(gdb, facts[i].answer);
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		if (is_named(packet, queries[i].name)) {
			queries[i].answer(gdb, packet + strlen(queries[i].name));
			return true;
		}
	}
	return false;
}
