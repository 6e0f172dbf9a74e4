# SPDX-License-Identifier: Apache-2.0
# Completion of parley for bash. The parts between "begin" and "end" are made by pages.py.

# What a flag takes: file, dir, text, or "words" and the words; nothing when it takes nothing.
_parley_value() {
    case $1 in
    # begin values
    --bits) echo words 2048 3072 ;;
    --data) echo dir ;;
    --date) echo text ;;
    --days) echo text ;;
    --expect) echo text ;;
    --export-passphrase-file) echo file ;;
    --id) echo text ;;
    --interval) echo text ;;
    --issuer) echo text ;;
    --limit) echo text ;;
    --max-age) echo text ;;
    --namespace) echo text ;;
    --new-passphrase-file) echo file ;;
    --new-seal-key-file) echo file ;;
    --passphrase-file) echo file ;;
    --peer) echo text ;;
    --prefix) echo text ;;
    --reason) echo text ;;
    --right) echo words read write ;;
    --role) echo text ;;
    --seal-key-file) echo file ;;
    --sealed) echo file ;;
    --session) echo text ;;
    --since) echo words PLACE PEER ;;
    --timeout) echo text ;;
    --ttl) echo text ;;
    --user) echo text ;;
    --versions) echo text ;;
    # end values
    esac
}

_parley() {
    local commands common flags='' words='' kind='' command='' value i count=0
    local current=${COMP_WORDS[COMP_CWORD]} before=''
    [ "$COMP_CWORD" -gt 0 ] && before=${COMP_WORDS[COMP_CWORD-1]}
    # begin lists
    commands='identity key invite join peers approve revoke add-legacy token audit import export backup bundle restore compact list show append edit delete purge history retention conflicts promote trash sync diff status top health check log-level doctor version help'
    common='--data --json --seal-key-file --passphrase-file --help --version'
    # end lists
    COMPREPLY=()
    # bash makes three words of --flag=value.
    if [ "$current" = '=' ]; then
        current=''
    elif [ "$before" = '=' ] && [ "$COMP_CWORD" -gt 1 ]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --*) [ -n "$(_parley_value "${COMP_WORDS[i]}")" ] && [ "${COMP_WORDS[i+1]}" != '=' ] &&
                 ((i++)) ;;
        =) ((i++)) ;;
        *) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; else ((count++)); fi ;;
        esac
    done
    case $command in
    # begin commands
    identity) flags='--ca' words="" kind='file' ;;
    key) flags='--bits --export-passphrase-file --new-passphrase-file --new-seal-key-file --sealed' words="show rotate export import reseal" kind='file' ;;
    invite) flags='--max-age --namespace --prefix --right --ttl' words="list withdraw" kind='' ;;
    join) flags='--max-age --prefix --timeout' words="" kind='' ;;
    peers) flags='' words="" kind='' ;;
    approve) flags='--max-age --namespace --prefix --right' words="" kind='' ;;
    revoke) flags='' words="" kind='' ;;
    add-legacy) flags='' words="" kind='' ;;
    token) flags='--issuer --peer --session --ttl --user' words="create list revoke" kind='' ;;
    audit) flags='--expect --follow --limit --verify' words="" kind='' ;;
    import) flags='--all --date --namespace --strict' words="" kind='file' ;;
    export) flags='--markdown --namespace' words="" kind='file' ;;
    backup) flags='--force' words="" kind='file' ;;
    bundle) flags='--namespace --since' words="create apply" kind='file' ;;
    restore) flags='--verify' words="" kind='file' ;;
    compact) flags='' words="" kind='' ;;
    list) flags='--limit --namespace' words="" kind='' ;;
    show) flags='--namespace' words="" kind='' ;;
    append) flags='--id --namespace --role' words="" kind='' ;;
    edit) flags='--namespace' words="" kind='' ;;
    delete) flags='--namespace' words="" kind='' ;;
    purge) flags='--namespace --reason' words="" kind='' ;;
    history) flags='--namespace' words="" kind='' ;;
    retention) flags='--days --namespace --versions' words="" kind='' ;;
    conflicts) flags='--all --limit --namespace' words="" kind='' ;;
    promote) flags='--field --namespace' words="" kind='' ;;
    trash) flags='--namespace' words="list restore empty" kind='' ;;
    sync) flags='--timeout' words="" kind='' ;;
    diff) flags='' words="" kind='' ;;
    status) flags='' words="" kind='' ;;
    top) flags='--interval --namespace --once' words="" kind='' ;;
    health) flags='' words="" kind='' ;;
    check) flags='' words="" kind='' ;;
    log-level) flags='' words="error warn info debug" kind='' ;;
    doctor) flags='--strict' words="" kind='' ;;
    version) flags='' words="" kind='' ;;
    help) flags='' words="$commands" kind='' ;;
    # end commands
    esac
    value=$(_parley_value "$before")
    case $value in
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    text) ;;
    words*) mapfile -t COMPREPLY < <(compgen -W "${value#words }" -- "$current") ;;
    *)  if [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$flags $common" -- "$current")
        elif [ -z "$command" ]; then
            mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
        elif [ "$count" -eq 0 ] && [ -n "$words" ]; then
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        elif [ -n "$kind" ]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi ;;
    esac
}

complete -F _parley parley
