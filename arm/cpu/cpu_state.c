// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A register is written down by KVM's number and its bytes. It is taken back
 * only if KVM has the same register for this vCPU, whose list says so, in the same order: first
 * those that say what the CPU can, for others are checked by them, and control registers of timers
 * last, for the compare values are theirs to be compared with.
 *
 * What KVM does not let be set is what it is already, or else this host has another CPU. KVM's
 * answer for a register that is read-only and the same is not an error on some kernels and one on
 * others, so what was refused is read and compared.
 */
#include "cpu/cpu_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/kvm.h"
#include "host/log.h"
#include "util.h"

#define REGISTER_MAX 256 /* bytes: a vector of SVE */
#define LIST_MAX     4096

#define SIZE_OF(id) ((size_t)1 << (((id)&KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT))

/* Op0, Op1 and CRn of a system register's number, where those of identification are 3, 0 and 0. */
#define SYSREG_SPACE 0xff80
#define SYSREG_ID    0xc000

enum order { FIRST, THEN, LAST, ORDERS };

struct vcpu_state {
	uint32_t mp_state;
	uint32_t zero;
	struct kvm_vcpu_events events;
};

static struct kvm_reg_list *list_of(int vcpu_fd)
{
	struct kvm_reg_list *list = malloc(sizeof(*list) + LIST_MAX * sizeof(list->reg[0]));
	int err = list ? 0 : -ENOMEM;

	if (list) {
		list->n = LIST_MAX;
		err = kvm_get_reg_list(vcpu_fd, list);
	}
	if (err == 0)
		return list;
	log_error("registers of a vCPU: %s", strerror(-err));
	free(list);
	return NULL;
}

static bool is_sysreg(uint64_t id)
{
	return (id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SYSREG;
}

static bool is_counter(uint64_t id)
{
	return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT;
}

/* Timers' CTL: CRn 14, CRm 2 or 3, Op2 1, of any exception level. */
static bool is_timer_control(uint64_t id)
{
	const unsigned int crn = id >> 7 & 15, crm = id >> 3 & 15, op2 = id & 7;

	return is_sysreg(id) && crn == 14 && (crm == 2 || crm == 3) && op2 == 1;
}

/* The set of vector lengths is settled when a vCPU is finalized, which it is. */
static enum order order_of(uint64_t id)
{
	if (id == KVM_REG_ARM64_SVE_VLS || (is_sysreg(id) && (id & SYSREG_SPACE) == SYSREG_ID))
		return FIRST;
	return is_timer_control(id) ? LAST : THEN;
}

/* Saving. */

/*
 * Registers that say what the CPU can are the same for all vCPUs, and do not change once one has
 * run. With CRm 0 are those that say which one it is.
 */
static bool is_constant(uint64_t id)
{
	return is_sysreg(id) && (id & SYSREG_SPACE) == SYSREG_ID && (id >> 3 & 15) != 0;
}

/* The value of list[i], remembered if it is a constant. Errors: -errno, not said. */
static int get_register(struct cpu_saved *same, int vcpu_fd, uint64_t i, void *value)
{
	const uint64_t id = same->list->reg[i];
	int err;

	if (same->constants > i && is_constant(id)) {
		memcpy(value, &same->constant[i], sizeof(same->constant[i]));
		return 0;
	}
	err = kvm_get_reg(vcpu_fd, id, value);
	if (err == 0 && is_constant(id))
		memcpy(&same->constant[i], value, sizeof(same->constant[i]));
	return err;
}

static void save_registers(struct state_writer *writer, struct cpu_saved *same, int vcpu_fd,
			   unsigned int index)
{
	uint8_t value[REGISTER_MAX] __attribute__((aligned(8)));

	state_begin(writer, "vcpu-registers", index);
	for (uint64_t i = 0; i < same->list->n && writer->err == 0; i++) {
		const uint64_t id = same->list->reg[i];
		int err;

		if (is_counter(id) || SIZE_OF(id) > sizeof(value))
			continue;
		memset(value, 0, 8);
		err = get_register(same, vcpu_fd, i, value);
		/* A register of a feature that the guest has turned off. */
		if (err == -ENOENT)
			continue;
		if (err < 0) {
			log_error("register 0x%" PRIx64 " of vCPU %u: %s", id, index,
				  strerror(-err));
			state_fail_write(writer, err);
		}
		state_add(writer, &id, sizeof(id));
		state_add(writer, value, align_up(SIZE_OF(id), 8));
	}
	state_end(writer);
}

static int find_registers(struct cpu_saved *same, int vcpu_fd)
{
	if (same->list)
		return 0;
	same->list = list_of(vcpu_fd);
	if (same->list)
		same->constant = calloc(same->list->n, sizeof(*same->constant));
	return same->constant ? 0 : -ENOMEM;
}

void cpu_save(struct state_writer *writer, struct cpu_saved *same, int vcpu_fd, unsigned int index)
{
	struct vcpu_state state = { 0 };
	int err = kvm_get_mp_state(vcpu_fd);

	state.mp_state = err;
	if (err >= 0)
		err = kvm_get_vcpu_events(vcpu_fd, &state.events);
	if (err < 0)
		log_error("state of vCPU %u: %s", index, strerror(-err));
	state_put(writer, "vcpu", index, &state, sizeof(state));
	if (err >= 0)
		err = find_registers(same, vcpu_fd);
	if (err < 0) {
		state_fail_write(writer, err);
		return;
	}
	save_registers(writer, same, vcpu_fd, index);
	if (writer->err == 0)
		same->constants = same->list->n;
}

void cpu_saved_release(struct cpu_saved *same)
{
	free(same->list);
	free(same->constant);
	*same = (struct cpu_saved){ .list = NULL };
}

/* Restoring. */

struct restoring {
	struct state_reader *reader;
	int vcpu_fd;
	unsigned int index;
	const struct kvm_reg_list *list;
	uint64_t next; /* in it: behind the register that was found last */
	enum order order;
};

/* They were saved in the order of such a list, so the next one is mostly the one. */
static bool is_listed(struct restoring *restoring, uint64_t id)
{
	const struct kvm_reg_list *list = restoring->list;

	for (uint64_t i = 0; i < list->n; i++) {
		const uint64_t at = (restoring->next + i) % list->n;

		if (list->reg[at] == id) {
			restoring->next = at + 1;
			return true;
		}
	}
	return false;
}

static int set_register(int vcpu_fd, uint64_t id, const void *value)
{
	uint8_t is[REGISTER_MAX] __attribute__((aligned(8)));
	int err;

	if (id != KVM_REG_ARM64_SVE_VLS && kvm_set_reg(vcpu_fd, id, value) == 0)
		return 0;
	err = kvm_get_reg(vcpu_fd, id, is);
	return err == 0 && memcmp(is, value, SIZE_OF(id)) != 0 ? -EINVAL : err;
}

/* One register of a record, from at on. Returns its bytes there, 0 where it is none. */
static size_t restore_register(struct restoring *restoring, const uint8_t *at, size_t left)
{
	struct state_reader *reader = restoring->reader;
	uint64_t id = 0;
	size_t size;

	memcpy(&id, at, left < sizeof(id) ? left : sizeof(id));
	size = sizeof(id) + align_up(SIZE_OF(id), 8);
	if (left < size || SIZE_OF(id) > REGISTER_MAX) {
		state_refuse(reader, "vcpu-registers", restoring->index, "is cut off");
		return 0;
	}
	if (order_of(id) != restoring->order)
		return size;
	if (is_counter(id) || !is_listed(restoring, id)) {
		log_error("snapshot: vCPU %u has a register 0x%" PRIx64
			  ", which this host does not have for it",
			  restoring->index, id);
		state_fail_read(reader, -ENOTSUP);
	} else if (set_register(restoring->vcpu_fd, id, at + sizeof(id)) < 0) {
		log_error("snapshot: register 0x%" PRIx64 " of vCPU %u: this host does not take "
			  "the value that it has",
			  id, restoring->index);
		state_fail_read(reader, -ENOTSUP);
	}
	return reader->err < 0 ? 0 : size;
}

static void restore_registers(struct restoring *restoring)
{
	size_t size, done;
	const uint8_t *registers =
		state_take(restoring->reader, "vcpu-registers", restoring->index, &size);

	for (enum order order = FIRST; registers && order < ORDERS; order++) {
		size_t at = 0;

		restoring->order = order;
		do {
			done = restore_register(restoring, registers + at, size - at);
			at += done;
		} while (done > 0 && at < size);
	}
}

void cpu_restore(struct state_reader *reader, int vcpu_fd, unsigned int index)
{
	struct restoring restoring = { .reader = reader, .vcpu_fd = vcpu_fd, .index = index };
	struct vcpu_state state;
	struct kvm_reg_list *list;
	int err;

	if (!state_get(reader, "vcpu", index, &state, sizeof(state)))
		return;
	list = list_of(vcpu_fd);
	if (!list) {
		state_fail_read(reader, -ENOMEM);
		return;
	}
	restoring.list = list;
	restore_registers(&restoring);
	free(list);
	if (reader->err < 0)
		return;
	err = kvm_set_vcpu_events(vcpu_fd, &state.events);
	if (err == 0)
		err = kvm_set_mp_state(vcpu_fd, state.mp_state);
	if (err < 0)
		state_refuse(reader, "vcpu", index, "has a state that this host does not take");
}
