// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gdb/gdb.h"
#include "unit.h"
#include "util.h"

/* Two vCPUs of two levels, registers of different sizes, and memory from 0x1000 on. */
static struct {
	unsigned int processes;
	uint64_t registers[3];
	unsigned int vectors; /* of 256 bytes, behind them */
	uint8_t vector;
	uint8_t memory[64];
	enum gdb_action action[3][3];
	char journal[512];
	bool resumed;
} target;

static struct gdb gdb;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
	const size_t used = strlen(target.journal);
	va_list args;

	va_start(args, format);
	vsnprintf(target.journal + used, sizeof(target.journal) - used, format, args);
	va_end(args);
}

static const char *journal(void)
{
	static char text[sizeof(target.journal)];

	strcpy(text, target.journal);
	target.journal[0] = '\0';
	return text;
}

static bool next_thread(void *opaque, struct gdb_thread *thread)
{
	if (thread->process == 0)
		*thread = (struct gdb_thread){ 1, 0 };
	if (++thread->thread > 2) {
		thread->process++;
		thread->thread = 1;
	}
	return thread->process <= (int)target.processes;
}

static void thread_name(void *opaque, struct gdb_thread thread, struct gdb_text *text)
{
	gdb_text_add(text, "vCPU %d", thread.thread - 1);
}

static int attach(void *opaque, int process)
{
	note("attach %d\n", process);
	if (process > 2)
		return -ESRCH;
	target.processes = 2;
	return 0;
}

static void describe(void *opaque, struct gdb_text *text)
{
	for (unsigned int i = 0; i < 1000; i++)
		gdb_text_add(text, "<r%u/>#", i);
}

static unsigned int register_count(void *opaque)
{
	return 3 + target.vectors;
}

static unsigned int watchpoint_count(void *opaque)
{
	return 4;
}

static unsigned int get_register(void *opaque, struct gdb_thread thread, unsigned int n,
				 uint8_t value[GDB_REGISTER], bool *known)
{
	if (n > 2) {
		memset(value, target.vector, GDB_REGISTER);
		*known = true;
		return GDB_REGISTER;
	}
	memcpy(value, &target.registers[n], 8);
	*known = !(thread.process == 2 && n == 1);
	return n == 2 ? 4 : 8;
}

static int set_register(void *opaque, struct gdb_thread thread, unsigned int n,
			const uint8_t value[GDB_REGISTER])
{
	if (n > 2)
		target.vector = value[GDB_REGISTER - 1];
	else
		memcpy(&target.registers[n], value, n == 2 ? 4 : 8);
	note("set %u\n", n);
	return 0;
}

static size_t at(uint64_t address, size_t size)
{
	const uint64_t offset = address - 0x1000;

	if (offset >= sizeof(target.memory))
		return 0;
	return size < sizeof(target.memory) - offset ? size : sizeof(target.memory) - offset;
}

static size_t read_memory(void *opaque, struct gdb_thread thread, uint64_t address, void *data,
			  size_t size)
{
	size = at(address, size);
	if (size > 0)
		memcpy(data, &target.memory[address - 0x1000], size);
	return size;
}

static size_t write_memory(void *opaque, struct gdb_thread thread, uint64_t address,
			   const void *data, size_t size)
{
	size = at(address, size);
	if (size > 0)
		memcpy(&target.memory[address - 0x1000], data, size);
	return size;
}

static int insert(void *opaque, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		  uint64_t size)
{
	note("insert %d %d 0x%llx %llu\n", thread.process, kind, (unsigned long long)address,
	     (unsigned long long)size);
	return address == 0xbad ? -ENOSPC : 0;
}

static int take_out(void *opaque, struct gdb_thread thread, enum gdb_point kind, uint64_t address,
		    uint64_t size)
{
	note("remove %d %d 0x%llx %llu\n", thread.process, kind, (unsigned long long)address,
	     (unsigned long long)size);
	return 0;
}

static void act(void *opaque, struct gdb_thread thread, enum gdb_action action)
{
	target.action[thread.process][thread.thread] = action;
}

static void resume(void *opaque)
{
	target.resumed = true;
}

static void monitor(void *opaque, struct gdb_thread thread, const char *line, struct gdb_text *text)
{
	if (strcmp(line, "silence") == 0)
		return;
	if (strcmp(line, "flood") == 0)
		for (unsigned int i = 0; i < 4000; i++)
			gdb_text_add(text, "x");
	else
		gdb_text_add(text, "<%s>", line);
}

static void interrupted(void *opaque)
{
	note("interrupted\n");
}

static void killed(void *opaque)
{
	note("killed\n");
}

static void gone(void *opaque)
{
	note("gone\n");
}

static const struct gdb_ops ops = {
	.next_thread = next_thread,
	.thread_name = thread_name,
	.attach = attach,
	.describe = describe,
	.register_count = register_count,
	.watchpoint_count = watchpoint_count,
	.get_register = get_register,
	.set_register = set_register,
	.read = read_memory,
	.write = write_memory,
	.insert = insert,
	.remove = take_out,
	.act = act,
	.resume = resume,
	.monitor = monitor,
	.interrupted = interrupted,
	.kill = killed,
	.gone = gone,
};

static char sent[sizeof(gdb.out) + 1];

/* What is to be sent, taken away. */
static const char *out(void)
{
	memcpy(sent, gdb.out, gdb.out_used);
	sent[gdb.out_used] = '\0';
	gdb.out_used = 0;
	return sent;
}

static void feed(const char *bytes, size_t size)
{
	assert_int_equal(gdb_take(&gdb, bytes, size), size);
}

static void send_packet(const char *body, size_t size)
{
	char frame[3 * GDB_PACKET];
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += body[i];
	frame[0] = '$';
	memcpy(frame + 1, body, size);
	snprintf(frame + 1 + size, 4, "#%02x", sum);
	feed(frame, size + 4);
}

/* The body of the answer to a packet, of what arrives without acknowledgements. */
static const char *ask_size(const char *body, size_t size)
{
	char *text;
	size_t length;
	uint8_t sum = 0;
	unsigned int told;

	send_packet(body, size);
	text = (char *)out();
	length = strlen(text);
	if (length == 0)
		return "nothing";
	assert_in_range(length, 4, sizeof(sent));
	assert_int_equal(text[0], '$');
	assert_int_equal(text[length - 3], '#');
	sscanf(text + length - 2, "%2x", &told);
	text[length - 3] = '\0';
	for (const char *c = text + 1; *c; c++)
		sum += *c;
	assert_int_equal(sum, told);
	return text + 1;
}

static const char *ask(const char *body)
{
	return ask_size(body, strlen(body));
}

static int begin(void **state)
{
	const struct gdb_stop stop = { .thread = { 1, 1 }, .signal = GDB_SIGTRAP };

	memset(&target, 0, sizeof(target));
	target.processes = 1;
	gdb_create(&gdb, &ops, NULL);
	gdb_connect(&gdb, &stop);
	gdb.acknowledges = false;
	return 0;
}

static void packets_are_acknowledged(void **state)
{
	gdb.acknowledges = true;
	feed("+$qC#b4", 7);
	assert_string_equal(out(), "+$QCp1.1#94");
	/* A wrong sum, and rubbish between packets. */
	feed("xy-+#$qC#b5", 11);
	assert_string_equal(out(), "-");
	feed("$qC#zz", 6);
	assert_string_equal(out(), "-");
	/* Until the client wants none. */
	send_packet("QStartNoAckMode", 15);
	assert_string_equal(out(), "+$OK#9a");
	feed("$qC#b4", 6);
	assert_string_equal(out(), "$QCp1.1#94");
	feed("$qC#b5", 6);
	assert_string_equal(out(), "");
}

static void a_packet_that_is_too_long_is_refused(void **state)
{
	static char body[GDB_PACKET + 100];

	memset(body, 'x', sizeof(body));
	gdb.acknowledges = true;
	send_packet(body, sizeof(body));
	assert_string_equal(out(), "-");
	send_packet(body, GDB_PACKET);
	assert_string_equal(out(), "+$#00");
}

static void input_waits_for_answers_to_be_sent(void **state)
{
	assert_int_equal(gdb_take(&gdb, "$qC#b4$qC#b4$qC#b4", 18), 12);
	assert_int_equal(gdb_take(&gdb, "$qC#b4", 6), 0);
	out();
	assert_int_equal(gdb_take(&gdb, "$qC#b4", 6), 6);
}

static void what_both_can_is_told(void **state)
{
	const char *answer = ask("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+");

	assert_non_null(strstr(answer, "PacketSize=1000;"));
	assert_non_null(strstr(answer, "multiprocess+"));
	assert_null(strstr(answer, "QNonStop+"));
	assert_string_equal(ask("qWatchpointSupportInfo:"), "num:4;");
	assert_string_equal(ask("qHostInfo"), "watchpoint_exceptions_received:before;");
	assert_string_equal(ask("vCont?"), "vCont;c;C;s;S");
	assert_string_equal(ask("qAttached:1"), "1");
	assert_string_equal(ask("vMustReplyEmpty"), "");
	assert_string_equal(ask("qCRC:0,1"), "");
	assert_string_equal(ask("!"), "OK");
	assert_string_equal(ask(""), "");
	assert_string_equal(ask("QNonStop:0"), "OK");
	assert_string_equal(ask("QNonStop:1"), "E.all vCPUs stop together: set non-stop off");
}

/* g has as many as a packet holds, and so has G; all can be had one by one. */
static void registers_may_be_more_than_a_packet_holds(void **state)
{
	char packet[GDB_PACKET + 2] = "G", one[2 * GDB_REGISTER + 16];
	const char *text;

	target.vectors = 10;
	target.vector = 0xa5;
	text = ask("g");
	assert_int_equal(strlen(text), 40 + 7 * 2 * GDB_REGISTER);
	strcat(packet, text);
	assert_string_equal(ask(packet), "OK");
	packet[strlen(packet) - 2] = '\0';
	assert_string_equal(ask(packet), "E16");
	text = ask("pc");
	assert_int_equal(strlen(text), 2 * GDB_REGISTER);
	assert_int_equal(strncmp(text + 2 * GDB_REGISTER - 4, "a5a5", 4), 0);
	snprintf(one, sizeof(one), "Pc=%s", text);
	memset(one + strlen(one) - 2, '7', 2);
	assert_string_equal(ask(one), "OK");
	assert_int_equal(target.vector, 0x77);
	target.vectors = 0;
}

static void registers_are_read_and_written(void **state)
{
	target.registers[0] = 0x1122334455667788;
	target.registers[2] = 0xcafe;
	assert_string_equal(ask("g"), "88776655443322110000000000000000feca0000");
	assert_string_equal(ask("p2"), "feca0000");
	assert_string_equal(ask("p3"), "E16");
	assert_string_equal(ask("p"), "E16");
	assert_string_equal(ask("P1=0100000000000000"), "OK");
	assert_int_equal(target.registers[1], 1);
	assert_string_equal(ask("P1=01"), "E16");
	assert_string_equal(ask("P9=01"), "E16");
	journal();
	/* Only what changes is set. */
	assert_string_equal(ask("G8877665544332211020000000000000000000000"), "OK");
	assert_string_equal(journal(), "set 1\nset 2\n");
	assert_string_equal(ask("G88"), "E16");
	assert_string_equal(ask("G887766554433221102000000000000000000000000"), "E16");
	/* What is not known is no zero, and is left alone. */
	target.processes = 2;
	assert_string_equal(ask("Hgp2.1"), "OK");
	assert_string_equal(ask("p1"), "xxxxxxxxxxxxxxxx");
	journal();
	assert_string_equal(ask("G8877665544332211xxxxxxxxxxxxxxxx00000000"), "OK");
	assert_string_equal(journal(), "");
}

/* LLDB's way. */
static void registers_may_be_of_a_thread_that_is_named(void **state)
{
	target.processes = 2;
	assert_string_equal(ask("QThreadSuffixSupported"), "OK");
	assert_string_equal(ask("P1=8877665544332211;thread:2;"), "OK");
	assert_string_equal(ask("p1;thread:2;"), "8877665544332211");
	assert_string_equal(ask("p1;thread:p2.1;"), "xxxxxxxxxxxxxxxx");
	assert_string_equal(ask("g;thread:p2.1;") + 16, "xxxxxxxxxxxxxxxx00000000");
	assert_string_equal(ask("p1"), "8877665544332211");
	assert_string_equal(ask("p1;thread:p3.1;"), "E03");
	assert_string_equal(ask("p1;thread:p2.1"), "E03");
	assert_string_equal(ask("G;thread:"), "E03");
	assert_string_equal(ask("qC"), "QCp1.1");
}

static void memory_is_read_and_written(void **state)
{
	assert_string_equal(ask("M1002,3:aabbcc"), "OK");
	assert_string_equal(ask("m1001,5"), "00aabbcc00");
	/* As much as there is. */
	assert_string_equal(ask("m103e,10"), "0000");
	assert_string_equal(ask("m1040,1"), "E0e");
	assert_string_equal(ask("m1000"), "E16");
	assert_string_equal(ask("m10000000000000000,1"), "E16");
	assert_string_equal(ask("M103f,2:aabb"), "E0e");
	assert_string_equal(ask("M1000,2:aa"), "E16");
	assert_string_equal(ask("M1000,ffffffffffffffff:aa"), "E16");
	assert_string_equal(ask_size("X1000,4:}\x03\0}]", 13), "E16");
	assert_string_equal(ask_size("X1000,3:}\x03\0}]", 13), "OK");
	assert_memory_equal(target.memory, "#\0}", 3);
	assert_string_equal(ask("X1000,0:"), "OK");
	assert_int_equal(strlen(ask("m1000,ffffffff")), 128);
}

static void points_are_of_a_process(void **state)
{
	assert_string_equal(ask("Z1,1234,4"), "OK");
	assert_string_equal(journal(), "insert 1 1 0x1234 4\n");
	target.processes = 2;
	ask("Hgp2.0");
	assert_string_equal(ask("Z2,88,8"), "OK");
	assert_string_equal(ask("z2,88,8"), "OK");
	assert_string_equal(journal(), "insert 2 2 0x88 8\nremove 2 2 0x88 8\n");
	assert_string_equal(ask("Z0,bad,4"), "E1c");
	assert_string_equal(ask("Z5,0,4"), "");
	assert_string_equal(ask("Z0"), "E16");
	assert_string_equal(ask("Z0,1234,4;X3,220101"), "OK");
}

static void threads_are_those_of_the_target(void **state)
{
	assert_string_equal(ask("qXfer:threads:read::0,fff"),
			    "l<threads><thread id=\"p1.1\" name=\"vCPU 0\"/>"
			    "<thread id=\"p1.2\" name=\"vCPU 1\"/></threads>");
	assert_string_equal(ask("qXfer:threads:read::9,5"), "m<thre");
	assert_string_equal(ask("qXfer:threads:read::1000,5"), "l");
	assert_string_equal(ask("qXfer:threads:read::x"), "E16");
	assert_string_equal(ask("Tp1.2"), "OK");
	assert_string_equal(ask("Tp1.3"), "E03");
	assert_string_equal(ask("Tp2.1"), "E03");
	assert_string_equal(ask("Hgp1.2"), "OK");
	assert_string_equal(ask("qC"), "QCp1.2");
	/* Any of that process will do, and this is one. */
	assert_string_equal(ask("Hgp1.0"), "OK");
	assert_string_equal(ask("qC"), "QCp1.2");
	assert_string_equal(ask("Hgp2.1"), "E03");
	assert_string_equal(ask("Hg"), "E03");
	assert_string_equal(ask("Hc-1"), "OK");
	assert_string_equal(ask("qC"), "QCp1.2");
}

static void threads_are_told_in_two_ways(void **state)
{
	char wanted[GDB_PACKET] = "mp1.1";
	size_t size;

	assert_string_equal(ask("qfThreadInfo"), "mp1.1,p1.2");
	assert_string_equal(ask("qsThreadInfo"), "l");
	target.processes = 501;
	for (unsigned int i = 1; i < 100; i++) {
		size = strlen(wanted);
		snprintf(wanted + size, sizeof(wanted) - size, ",p%x.%x", i / 2 + 1, i % 2 + 1);
	}
	assert_string_equal(ask("qfThreadInfo"), wanted);
	for (unsigned int i = 0; i < 9; i++)
		assert_non_null(strstr(ask("qsThreadInfo"), ".2"));
	assert_string_equal(ask("qsThreadInfo"), "mp1f5.1,p1f5.2");
	assert_string_equal(ask("qsThreadInfo"), "l");
	assert_string_equal(ask("qfThreadInfo"), wanted);
}

static void another_process_can_be_had(void **state)
{
	assert_string_equal(ask("vAttach;3"), "E03");
	assert_string_equal(ask("vAttach;x"), "E16");
	assert_string_equal(ask("vAttach;2"), "T00thread:p2.1;");
	assert_string_equal(ask("qC"), "QCp2.1");
}

static void a_long_text_comes_in_parts(void **state)
{
	char whole[16384] = "", request[64];
	const char *part;
	size_t length = 0;

	do {
		snprintf(request, sizeof(request), "qXfer:features:read:target.xml:%zx,ffb",
			 length);
		part = ask(request);
		for (const char *c = part + 1; *c; c++)
			whole[length++] = *c == '}' ? *++c ^ 0x20 : *c;
	} while (part[0] == 'm');
	assert_int_equal(part[0], 'l');
	assert_memory_equal(whole, "<r0/>#<r1/>#", 12);
	assert_memory_equal(whole + length - 7, "<r999/>#" + 1, 7);
	assert_int_equal(length, 10 * 6 + 90 * 7 + 900 * 8);
	assert_string_equal(ask("qXfer:features:read:other.xml:0,10"), "");
}

static void users_have_commands(void **state)
{
	assert_string_equal(ask("qRcmd,6869"), "3c68693e");
	assert_string_equal(ask("qRcmd,73696c656e6365"), "OK");
	assert_string_equal(ask("qRcmd,6"), "E16");
	assert_string_equal(ask("qRcmd,zz"), "E16");
	assert_in_range(strlen(ask("qRcmd,666c6f6f64")), 4000, GDB_PACKET);
}

static void each_thread_goes_on_by_what_matches_first(void **state)
{
	const struct gdb_stop stop = { { 1, 2 }, GDB_SIGTRAP, "hwbreak", 0 };

	assert_string_equal(ask("vCont;s:p1.2;c:p1.-1"), "nothing");
	assert_true(target.resumed);
	assert_int_equal(target.action[1][1], GDB_CONTINUE);
	assert_int_equal(target.action[1][2], GDB_STEP);
	/* While it runs only an interrupt is taken. */
	assert_string_equal(ask("g"), "E.it runs; only an interrupt stops it");
	feed("\x03", 1);
	assert_string_equal(journal(), "interrupted\n");
	gdb_stopped(&gdb, &stop);
	assert_string_equal(out(), "$T05thread:p1.2;#a7");
	gdb_stopped(&gdb, &stop);
	assert_string_equal(out(), "");
	assert_string_equal(ask("qC"), "QCp1.2");
	feed("\x03", 1);
	assert_string_equal(journal(), "");

	ask("qSupported:swbreak+;hwbreak+");
	assert_string_equal(ask("vCont;C05:p1.1"), "nothing");
	assert_int_equal(target.action[1][1], GDB_CONTINUE);
	assert_int_equal(target.action[1][2], GDB_STAY);
	gdb_stopped(&gdb, &stop);
	assert_non_null(strstr(out(), "$T05thread:p1.2;hwbreak:;#"));

	assert_string_equal(ask("vCont;c"), "nothing");
	gdb_stopped(&gdb, &(struct gdb_stop){ { 1, 1 }, GDB_SIGTRAP, "rwatch", 0xabc0 });
	assert_non_null(strstr(out(), "$T05thread:p1.1;rwatch:abc0;#"));
	assert_non_null(strstr(ask("?"), "T05thread:p1.1;rwatch:abc0;"));

	target.resumed = false;
	assert_string_equal(ask("vCont"), "E03");
	assert_string_equal(ask("vCont;s:p1.7"), "E03");
	assert_string_equal(ask("vCont;x"), "E16");
	assert_string_equal(ask("vCont;C"), "E16");
	assert_string_equal(ask("vCont;s:q"), "E16");
	assert_false(target.resumed);
}

/* As clients go on that know nothing of vCont, and LLDB. */
static void one_thread_or_all_go_on_by_a_letter(void **state)
{
	const struct {
		const char *alone, *packet;
		enum gdb_action first, second;
	} moves[] = {
		{ "Hc-1", "c", GDB_CONTINUE, GDB_CONTINUE },
		{ "Hc0", "C05", GDB_CONTINUE, GDB_CONTINUE },
		{ "Hcp1.2", "c", GDB_STAY, GDB_CONTINUE },
		{ "Hcp-1.1", "s", GDB_STEP, GDB_STAY },
		{ "Hcp1.2", "S13", GDB_STAY, GDB_STEP },
		{ "Hcp1.-1", "s", GDB_CONTINUE, GDB_STEP },
	};
	const struct gdb_stop stop = { { 1, 2 }, GDB_SIGTRAP, "hwbreak", 0 };

	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		assert_string_equal(ask(moves[i].alone), "OK");
		assert_string_equal(ask(moves[i].packet), "nothing");
		assert_true(target.resumed);
		assert_int_equal(target.action[1][1], moves[i].first);
		assert_int_equal(target.action[1][2], moves[i].second);
		target.resumed = false;
		gdb_stopped(&gdb, &stop);
		out();
	}
	assert_string_equal(ask("c1000"), "E16");
	assert_string_equal(ask("C05;1000"), "E16");
	assert_string_equal(ask("S"), "E16");
	assert_false(target.resumed);
}

static void the_end_is_told(void **state)
{
	ask("vCont;c");
	gdb_exited(&gdb, 3);
	assert_non_null(strstr(out(), "$W03;process:1#"));
	gdb_exited(&gdb, 3);
	assert_string_equal(out(), "");
}

static void clients_let_go_or_kill(void **state)
{
	assert_string_equal(ask("vKill;1"), "OK");
	assert_string_equal(journal(), "killed\n");
	assert_string_equal(ask("k"), "nothing");
	assert_string_equal(journal(), "killed\n");
	assert_string_equal(ask("D;1"), "OK");
	assert_string_equal(journal(), "gone\n");
	/* Nothing more is taken from it, and it goes once. */
	assert_int_equal(gdb_take(&gdb, "$k#6b", 5), 0);
	gdb_disconnect(&gdb);
	assert_string_equal(journal(), "");
	begin(NULL);
	gdb_disconnect(&gdb);
	assert_string_equal(journal(), "gone\n");
}

#define test(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(packets_are_acknowledged),
		test(a_packet_that_is_too_long_is_refused),
		test(input_waits_for_answers_to_be_sent),
		test(what_both_can_is_told),
		test(registers_may_be_more_than_a_packet_holds),
		test(registers_are_read_and_written),
		test(registers_may_be_of_a_thread_that_is_named),
		test(memory_is_read_and_written),
		test(points_are_of_a_process),
		test(threads_are_those_of_the_target),
		test(threads_are_told_in_two_ways),
		test(another_process_can_be_had),
		test(a_long_text_comes_in_parts),
		test(users_have_commands),
		test(each_thread_goes_on_by_what_matches_first),
		test(one_thread_or_all_go_on_by_a_letter),
		test(the_end_is_told),
		test(clients_let_go_or_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
