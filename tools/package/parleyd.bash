# SPDX-License-Identifier: Apache-2.0
# Completion of parleyd for bash. The parts between "begin" and "end" are made by pages.py.

# What a flag takes: file, dir, text, or "words" and the words; nothing when it takes nothing.
_parleyd_value() {
    case $1 in
    # begin values
    --advertise) echo text ;;
    --config) echo file ;;
    --cors-origin) echo text ;;
    --data) echo dir ;;
    --key-bits) echo words 2048 3072 ;;
    --listen) echo text ;;
    --log-format) echo text ;;
    --log-level) echo words error warn info debug ;;
    --passphrase-file) echo file ;;
    --profile) echo words normal small ;;
    --rate) echo text ;;
    --reserve) echo text ;;
    --seal-key-file) echo file ;;
    --tls-cert) echo file ;;
    --tls-key) echo file ;;
    --tombstone-grace) echo text ;;
    --type) echo words local hosted edge ;;
    # end values
    esac
}

_parleyd() {
    local flags value current=${COMP_WORDS[COMP_CWORD]} before=''
    [ "$COMP_CWORD" -gt 0 ] && before=${COMP_WORDS[COMP_CWORD-1]}
    # begin lists
    flags='--data --listen --advertise --type --seal-key-file --passphrase-file --key-bits --tls-cert --tls-key --tombstone-grace --reserve --profile --plain-peers --no-zstd --cors-origin --rate --compat-legacy --force-compat-legacy --log-level --log-format --json-ready --config --check-config --print-config --list-settings --version --help'
    # end lists
    COMPREPLY=()
    # bash makes three words of --flag=value.
    if [ "$current" = '=' ]; then
        current=''
    elif [ "$before" = '=' ] && [ "$COMP_CWORD" -gt 1 ]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    value=$(_parleyd_value "$before")
    case $value in
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    text) ;;
    words*) mapfile -t COMPREPLY < <(compgen -W "${value#words }" -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current") ;;
    esac
}

complete -F _parleyd parleyd
