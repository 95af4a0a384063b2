// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "memmap.h"
#include "unit.h"
#include "util.h"

static struct config config;

static int parse_as(enum config_flavour flavour, const char *line)
{
	return command_line_parse(&config, flavour, line);
}

static int parse(const char *line)
{
	return parse_as(CONFIG_NIDUS, line);
}

static void assert_refused(const char *line, const char *message)
{
	assert_int_equal(parse(line), -EINVAL);
	assert_said(message);
}

static void nothing_of_it_by_default(void **state)
{
	assert_int_equal(parse("-k Image"), 0);
	assert_null(config.firmware);
	assert_null(config.flash);
	assert_null(config.dtb);
	assert_int_equal(config.kernel_address, 0);
	assert_int_equal(config.module_count, 0);
	assert_int_equal(config.overlay_count, 0);
}

static void firmware_takes_a_kernels_place(void **state)
{
	assert_int_equal(parse("--firmware code.fd"), 0);
	assert_null(config.kernel);
	assert_string_equal(config.firmware, "code.fd");
	assert_null(config.flash);
	assert_int_equal(parse("-f code.fd,vars=my,vars -d disk"), 0);
	assert_string_equal(config.firmware, "code.fd");
	assert_string_equal(config.flash, "my,vars");
	assert_int_equal(parse("-F vars -k Image"), 0);
	assert_string_equal(config.flash, "vars");
	assert_null(config.firmware);
	assert_silent();
}

static void firmware_starts_nothing_of_ours(void **state)
{
	assert_refused("-f f -k Image", "--kernel with --firmware");
	assert_refused("-f f Image", "--kernel with --firmware");
	assert_refused("-f f -i initrd", "--initrd with --firmware");
	assert_refused("-f f -p quiet", "--params with --firmware");
	assert_refused("-f f --module m", "--module with --firmware");
	assert_refused("-f f --root /", "--root with --firmware");
	assert_refused("-f f,rom", "--firmware f,rom: what follows the name must be vars=FILE");
	assert_refused("-f f,vars=", "what follows the name must be vars=FILE");
	assert_refused("-f f --firmware-address 0x40000000", "is of lkvm's --firmware alone");
	assert_refused("-k f --firmware-address 0x40000000", "is of lkvm's --firmware alone");
}

static void lkvm_loads_firmware_to_ram(void **state)
{
	assert_int_equal(parse_as(CONFIG_LKVM, "-n mode=none -f f"), 0);
	assert_null(config.firmware);
	assert_string_equal(config.kernel, "f");
	assert_int_equal(config.kernel_address, RAM_BASE);
	assert_int_equal(
		parse_as(CONFIG_LKVM, "-n mode=none -f f --firmware-address 0x40200000 -F v"), 0);
	assert_int_equal(config.kernel_address, 0x40200000);
	assert_string_equal(config.flash, "v");
	assert_int_equal(parse_as(CONFIG_LKVM, "-n mode=none -f f -k Image"), -EINVAL);
	assert_said("--firmware and a kernel");
	assert_int_equal(parse_as(CONFIG_LKVM, "-n mode=none -k f --firmware-address 0x40000000"),
			 -EINVAL);
	assert_said("is of lkvm's --firmware alone");
	for (const char *const *bad = (const char *[]){ "0x3fffffff", "0x40000002", "x", NULL };
	     *bad; bad++) {
		char line[80];

		snprintf(line, sizeof(line), "-f f --firmware-address %s", *bad);
		assert_int_equal(parse_as(CONFIG_LKVM, line), -EINVAL);
		assert_said("must be an address of RAM");
	}
}

static void modules(void **state)
{
	assert_int_equal(parse("-k xen --module Image,kernel,args=console=hvc0,ramdisk "
			       "--module initrd,node=/chosen/domU1,ramdisk --module x,kind=xsm "
			       "--module blob"),
			 0);
	assert_int_equal(config.module_count, 4);
	assert_string_equal(config.modules[0].path, "Image");
	assert_string_equal(config.modules[0].kind, "kernel");
	assert_string_equal(config.modules[0].params, "console=hvc0,ramdisk");
	assert_string_equal(config.modules[0].node, "/chosen");
	assert_string_equal(config.modules[1].kind, "ramdisk");
	assert_string_equal(config.modules[1].node, "/chosen/domU1");
	assert_null(config.modules[1].params);
	assert_string_equal(config.modules[2].kind, "xsm");
	assert_string_equal(config.modules[3].path, "blob");
	assert_null(config.modules[3].kind);
	assert_silent();
}

static void modules_that_are_none(void **state)
{
	char line[512] = "-k xen";

	assert_refused("-k xen --module m,core", "--module m,core: what follows the name must be");
	assert_refused("-k xen --module m,kind=", "--module m,kind=: what follows");
	assert_refused("-k xen --module m,node=chosen", "--module m,node=chosen: what follows");
	for (unsigned int i = 0; i < CONFIG_MODULES_MAX; i++)
		strcat(line, " --module m");
	assert_int_equal(parse(line), 0);
	strcat(line, " --module one-more");
	assert_refused(line, "--module one-more: there are 16 modules already");
}

static void trees_and_overlays(void **state)
{
	char line[512] = "-k Image --dtb tree";

	for (unsigned int i = 0; i < CONFIG_OVERLAYS_MAX; i++)
		strcat(line, " --dtb-overlay o");
	assert_int_equal(parse(line), 0);
	assert_string_equal(config.dtb, "tree");
	assert_int_equal(config.overlay_count, CONFIG_OVERLAYS_MAX);
	assert_string_equal(config.overlays[0], "o");
	strcat(line, " --dtb-overlay p");
	assert_refused(line, "--dtb-overlay p: there are 8 already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(nothing_of_it_by_default),
		caught_test(firmware_takes_a_kernels_place),
		caught_test(firmware_starts_nothing_of_ours),
		caught_test(lkvm_loads_firmware_to_ram),
		caught_test(modules),
		caught_test(modules_that_are_none),
		caught_test(trees_and_overlays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
