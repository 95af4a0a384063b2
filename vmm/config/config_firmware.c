// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest is started by besides a kernel: firmware, flash memory, modules, trees of the user's
 * own.
 */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "config_words.h"
#include "memmap.h"
#include "options/number.h"
#include "util.h"

/* FILE[,vars=FILE]: cut apart where they stand. */
int config_set_firmware(void *object, const char *text)
{
	struct config *config = object;
	char *word = strchr(text, ',');

	config->firmware = text;
	if (!word)
		return 0;
	*word++ = '\0';
	if (strncmp(word, "vars=", 5) != 0 || word[5] == '\0') {
		log_error("--firmware %s,%s: what follows the name must be vars=FILE", text, word);
		return -EINVAL;
	}
	config->flash = word + 5;
	return 0;
}

int config_set_firmware_address(void *object, const char *text)
{
	struct config *config = object;
	uint64_t address;

	if (number_parse(text, RAM_BASE, RAM_BASE + RAM_SIZE_MAX - 1, &address) < 0 ||
	    address % 4 != 0) {
		log_error("--firmware-address %s: must be an address of RAM, which begins at "
			  "0x40000000, and a multiple of 4",
			  text);
		return -EINVAL;
	}
	config->kernel_address = address;
	return 0;
}

static int set_module_word(struct config_module *module, const char *word)
{
	if (strcmp(word, "kernel") == 0 || strcmp(word, "ramdisk") == 0) {
		module->kind = word;
	} else if (strncmp(word, "kind=", 5) == 0 && word[5]) {
		module->kind = word + 5;
	} else if (strncmp(word, "node=/", 6) == 0) {
		module->node = word + 5;
	} else {
		log_error("--module %s,%s: what follows the name must be kernel, ramdisk or "
			  "kind=KIND, node=/PATH, and last args=TEXT",
			  module->path, word);
		return -EINVAL;
	}
	return 0;
}

/* args= is the last word, for there may be commas in it. */
int config_add_module(void *object, const char *text)
{
	struct config *config = object;
	struct config_module *module = &config->modules[config->module_count];
	char *comma = strchr(text, ',');

	if (config->module_count == CONFIG_MODULES_MAX) {
		log_error("--module %s: there are %d modules already, and no more than that", text,
			  CONFIG_MODULES_MAX);
		return -EINVAL;
	}
	*module = (struct config_module){ .path = text, .node = "/chosen" };
	while (comma) {
		const char *const word = comma + 1;

		*comma = '\0';
		if (strncmp(word, "args=", 5) == 0) {
			module->params = word + 5;
			break;
		}
		comma = strchr(word, ',');
		if (comma)
			*comma = '\0';
		if (set_module_word(module, word) < 0)
			return -EINVAL;
	}
	config->module_count++;
	return 0;
}

int config_add_overlay(void *object, const char *text)
{
	struct config *config = object;

	if (config->overlay_count == CONFIG_OVERLAYS_MAX) {
		log_error("--dtb-overlay %s: there are %d already, and no more than that", text,
			  CONFIG_OVERLAYS_MAX);
		return -EINVAL;
	}
	config->overlays[config->overlay_count++] = text;
	return 0;
}

/* As lkvm has it: a flat binary that is loaded to RAM, with the tree behind it. */
static int take_firmware_as_kernel(struct config *config)
{
	if (config->kernel) {
		log_error("--firmware and a kernel: the guest starts by one of them; leave the "
			  "other out");
		return -EINVAL;
	}
	config->kernel = config->firmware;
	config->firmware = NULL;
	if (config->kernel_address == 0)
		config->kernel_address = RAM_BASE;
	return 0;
}

int config_settle_firmware(struct config *config, enum config_flavour flavour)
{
	const char *beside = config->kernel	    ? "--kernel"
			     : config->initrd	    ? "--initrd"
			     : config->params	    ? "--params"
			     : config->module_count ? "--module"
			     : config->root	    ? "--root"
						    : NULL;

	if (config->kernel_address != 0 && (flavour != CONFIG_LKVM || !config->firmware)) {
		log_error("--firmware-address: is of lkvm's --firmware alone; nidus has firmware "
			  "run in flash memory, at 0");
		return -EINVAL;
	}
	if (!config->firmware)
		return 0;
	if (flavour == CONFIG_LKVM)
		return take_firmware_as_kernel(config);
	if (beside) {
		log_error("%s with --firmware: firmware looks for what it starts on disks and "
			  "networks by itself; leave one of them out",
			  beside);
		return -EINVAL;
	}
	return 0;
}
