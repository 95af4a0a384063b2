# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion for bash, of nidus and lkvm: nidus itself says what there is.

# shellcheck disable=SC1090	# there is no file
source <(nidus help --completion bash 2>/dev/null)
