#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What nidus itself says of its options is what the manual page, the README and the completion of a shell have. It is
# asked: build/unit/nidus is nidus as a program of this machine.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nidus=$PWD/build/unit/nidus

# same WHAT FILE FILE
same() {
	local difference
	if [[ ! -s $2 ]]; then
		echo "not ok - $1: there are none"
	elif difference=$(diff "$2" "$3"); then
		echo "ok - $1"
	else
		echo "not ok - $1"
		echo "$difference"
	fi
}

options() {
	grep -oE -e '--[a-z][a-z0-9-]+' | sort -u
}

# Only where an option is introduced: a line of help, a paragraph's tag of the manual, the first column of a table.
help_options() {
	"$nidus" help "$1" | sed -n 's/^  *\(-., \)\?\(--[a-z0-9-]*\).*/\2/p' | options
}
manual_options() {
	awk -v head=".SH OPTIONS OF ${1^^}" '/^\.SH/ { in_it = $0 == head } in_it' docs/nidus.1 |
		sed 's/\\-/-/g' | grep -A 1 '^\.TP' | options
}

mapfile -t commands < <("$nidus" help | sed -n 's/^  nidus \([a-z]*\) .*/\1/p')
for command in "${commands[@]}"; do
	[[ $command != version ]] || continue
	help_options "$command" >"$work/help"
	manual_options "$command" >"$work/manual"
	same "the manual has the options that help lists of $command" "$work/help" "$work/manual"
done
help_options run >"$work/help"
sed -n 's/^| *\(`[^|]*\)|.*/\1/p' README.md | options >"$work/readme"
same "the README has the options that help lists of run" "$work/help" "$work/readme"

# Completion. What stands for a cursor is the end of the words; completes WORD...: what they are completed to.
"$nidus" help --completion bash >"$work/completion"
cat >"$work/complete" <<'END'
source "$1"
shift
cd "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_nidus
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
END
mkdir -p "$work/there/directory"
: >"$work/there/diskimage"
shell=bash
completes() {
	if [[ $shell == bash ]]; then
		bash "$work/complete" "$work/completion" "$work/there" "$@"
	else
		timeout 60 zsh -f "$work/complete.zsh" "$work/_nidus" "$work/there" "$@" | sort -u
	fi
}
# completed WHAT WORD... = EXPECTED...
completed() {
	local what=$1 words=()
	shift
	while [[ $1 != : ]]; do
		words+=("$1")
		shift
	done
	shift
	completes "${words[@]}" | sort >"$work/got"
	printf '%s\n' "$@" | sort >"$work/expected"
	same "completion: $what" "$work/expected" "$work/got"
}

completed "the name of a subcommand" nidus ru : run
completed "all subcommands" nidus '' : "${commands[@]}"
completed "the name of an option" nidus run --cons : --console
completed "what it takes" nidus run --console '' : serial virtio
completed "of that what begins so" lkvm run -k Image --console v : virtio
completed "the same behind =" nidus run --console = se : serial
completed "and with nothing there" nidus run --console = : serial virtio
completed "words with a comma" nidus run --trap-tlbi all : all all,shareable
completed "a file, by a letter" nidus run -d di : diskimage directory
completed "a file, by a name" nidus nest --json disk : diskimage
completed "a directory" nidus run --hugetlbfs di : directory
completed "what stands by itself" nidus run --pmu disk : diskimage
completed "a subcommand to explain" nidus help tl : tlbi
for command in "${commands[@]}"; do
	{
		help_options "$command" || true # it may have none
		echo --help
	} | sort >"$work/help"
	completes nidus "$command" -- | sort >"$work/got"
	same "completion: all options of $command" "$work/help" "$work/got"
done
completes nidus run --mem '' >"$work/got"
completes nidus walk '' >>"$work/got"
: >"$work/expected"
verdict() {
	if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1"; fi
}
verdict "completion: nothing where there is nothing to be said" cmp "$work/got" "$work/expected"
verdict "completion: shellcheck is content" shellcheck -s bash "$work/completion"

# The same of zsh, at a terminal.
"$nidus" help --completion zsh >"$work/_nidus"
cat >"$work/complete.zsh" <<'END'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "stty columns 500; cd ${(q)2}; autoload -Uz compinit; compinit -u -D; source ${(q)1}"
# What is to be added to the line goes to the terminal; -A, -D and -O have others' arrays changed.
zpty -w shell 'tell() {
	print "\nBEGIN"
	compadd() {
		if [[ ${@[1,(i)(-|--)]} != *-(A|D|O)\ * ]]; then
			local -a told
			builtin compadd -A told "$@"
			print -rl -- "told "$^told
		fi
		builtin compadd "$@"
	}
	_main_complete
	unfunction compadd
	print END
	compstate[insert]="" compstate[list]=""
}; zle -C tell complete-word tell; bindkey "^I" tell'
zpty -n -w shell "${*[3,-1]}"$'\t'
begun=no
while zpty -r shell line; do
	line=${line%%[$'\r\n']*}
	[[ $line != BEGIN ]] || begun=yes
	[[ $begun == no || $line != told\ * ]] || print -r -- ${line#told }
	[[ $begun == no || $line != END ]] || break
done
END
shell=zsh
completed "zsh: the name of a subcommand" nidus ru : run
completed "zsh: all subcommands" nidus '' : "${commands[@]}"
completed "zsh: the name of an option" nidus run --cons : --console
completed "zsh: what it takes" lkvm run --console '' : serial virtio
completed "zsh: the same behind =" nidus run --console=se : serial
completed "zsh: a file, by a letter" nidus run -d di : diskimage directory
completed "zsh: a directory" nidus run --hugetlbfs di : directory
completed "zsh: what stands by itself" nidus run --pmu disk : diskimage
completed "zsh: a subcommand to explain" nidus help tl : tlbi
for command in "${commands[@]}"; do
	{
		help_options "$command" || true # it may have none
		echo --help
	} | sort >"$work/help"
	completes nidus "$command" -- | sort >"$work/got"
	same "zsh: all options of $command" "$work/help" "$work/got"
done

# As it is installed: the shell asks the nidus in its path.
mkdir "$work/bin"
ln -s "$nidus" "$work/bin/nidus"
for name in nidus lkvm; do
	PATH=$work/bin:$PATH bash -c "source docs/completion.bash && complete -p $name" >"$work/got"
	echo "complete -F _nidus $name" >"$work/expected"
	same "completion: what is installed is for $name" "$work/expected" "$work/got"
done
mkdir "$work/functions"
cp docs/completion.zsh "$work/functions/_nidus"
PATH=$work/bin:$PATH zsh -fc "fpath=($work/functions \$fpath) && autoload -Uz compinit && compinit -u -D &&
	echo \$_comps[nidus] \$_comps[lkvm] && autoload +X _nidus && _arguments() { echo \$#@; } &&
	words=(nidus help '') CURRENT=3 && _nidus" >"$work/got"
printf '%s\n' '_nidus _nidus' 5 >"$work/expected"
same "zsh: what is installed is for both" "$work/expected" "$work/got"
