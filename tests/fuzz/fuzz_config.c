// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any command line: the arguments are separated by newlines.
 */
#include "config/config.h"
#include "fuzz.h"
#include "memmap.h"

#define ARGS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[1024];
	char *argv[ARGS_MAX + 1] = { "run" }, *rest = text;
	struct config config;
	int argc = 1;

	if (size == 0 || size >= sizeof(text))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	while (argc < ARGS_MAX && rest)
		argv[argc++] = strsep(&rest, "\n");

	if (config_parse(&config, data[0] & 1 ? CONFIG_LKVM : CONFIG_NIDUS, argc, argv) != 0)
		return 0;
	MUST(!config.kernel != !config.firmware);
	MUST(config.module_count <= CONFIG_MODULES_MAX);
	MUST(config.overlay_count <= CONFIG_OVERLAYS_MAX);
	MUST(config.cpus > 0);
	MUST(config.mem_size > 0 && config.mem_size <= RAM_SIZE_MAX);
	MUST(config.mem_size % KIB(64) == 0);
	MUST(config.sve_max_vl % 128 == 0 && config.sve_max_vl <= 2048);
	MUST(config.irqchip <= GIC_V2);
	MUST(config.mem_backing <= MEMORY_HUGETLBFS);
	MUST(config.cache_clean <= POC_NONE);
	MUST(config.log_level <= LOG_DEBUG);
	MUST(!config.hugetlbfs || config.mem_backing == MEMORY_HUGETLBFS);
	return 0;
}
