#compdef nidus lkvm
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion for zsh, of nidus and lkvm: nidus itself says what there is.

source <(nidus help --completion zsh 2>/dev/null)
_nidus "$@"
