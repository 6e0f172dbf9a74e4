#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of docs/STYLE.md that a machine can check.

Usage: lint.py [--self-test] [ROOT]

Prints one line a violation, "file:line: rule: what to do", and exits 1 when there is one.
The text rules read C as lines and tokens, not as a grammar: comments and literals are blanked
first, a function is what starts with a brace in column 0 (clang-format sees to that).
--self-test plants one violation of each rule in a scratch tree and checks that it is found.
"""
import fnmatch
import os
import re
import sys
import tempfile

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

CODE_DIRS = ("engine", "net", "tools", "tests", "bench")
SCRIPT_ENDS = (".py", ".sh", ".cmake")
SKIPPED_DIRS = {".git", "build", "corpus", "golden", "__pycache__", ".ci"}

# Folder to the folders of the project that it may include, besides itself. engine/include is
# free to all. Read downwards: nothing may include what stands above it.
LAYERS = [
    ("engine/base", []),
    ("engine/core", ["engine/base"]),
    ("engine/store", ["engine/core", "engine/base"]),
    ("engine/trust", ["engine/core", "engine/base"]),
    ("engine/db", ["engine/store", "engine/core", "engine/base"]),
    ("net/proto", ["engine/trust", "engine/core", "engine/base"]),
    ("net/sync", ["net/proto", "engine/db", "engine/trust", "engine/store", "engine/core",
                  "engine/base"]),
    ("net/node", ["net/sync", "net/proto", "engine/db", "engine/trust", "engine/store",
                  "engine/core", "engine/base"]),
    ("net/uv", ["net/node", "net/sync", "net/proto", "engine/db", "engine/trust", "engine/store",
                "engine/core", "engine/base"]),
]
LAYER_NAMES = [name for name, _ in LAYERS]
PURE = ("engine/base/", "engine/core/", "engine/db/", "engine/trust/", "net/proto/", "net/sync/",
        "net/node/")

# Header pattern to the files that may include it.
HEADER_HOMES = [
    ("uv.h", ["net/uv/*", "tools/parleyd/*", "tests/uv/*", "bench/*"]),
    ("lmdb.h", ["engine/store/*", "bench/*"]),
    ("bearssl*.h", ["net/proto/tls.c", "engine/trust/*", "engine/core/sha256.c", "tests/*",
                    "bench/*"]),
    ("nettle/*", ["engine/core/sha256.c"]),
    ("argon2.h", ["engine/trust/seal.c"]),
    ("msgpack*.h", ["engine/core/mp_write.c", "tests/*", "bench/*"]),
    ("msgpack/*", ["engine/core/mp_write.c", "tests/*", "bench/*"]),
    ("xxhash.h", ["engine/core/hash.c"]),
    ("zstd*.h", ["net/proto/zip.c"]),
    ("zlib.h", ["net/proto/gzip.c", "tools/*", "tests/*", "bench/*"]),
    ("jansson.h", ["tools/*", "tests/*", "bench/*"]),
    ("qrencode.h", ["tools/*", "tests/*", "bench/*"]),
    ("ini.h", ["tools/parleyd/config_file.c"]),
]
IMPURE_HEADERS = ["time.h", "unistd.h", "pthread.h", "sys/*", "stdio.h", "stdlib.h", "fcntl.h",
                  "signal.h", "threads.h", "netinet/*", "arpa/*", "poll.h", "dirent.h"]
IMPURE_EXCEPTIONS = {("engine/base/panic.c", "stdlib.h")}
# The embedder's panic hook is the one mutable object: a panic has no struct to look in.
GLOBAL_HOMES = {"engine/base/panic.c"}
MALLOC_HOMES = ["engine/env_posix.c", "tools/*", "tests/*", "bench/*", "net/uv/*"]

BANNED_CALLS = {
    "strcpy": "copy with memcpy and a known length",
    "strncpy": "copy with memcpy and a known length",
    "strcat": "build text with pl_writer or snprintf",
    "strncat": "build text with pl_writer or snprintf",
    "sprintf": "use snprintf and check its result",
    "vsprintf": "use vsnprintf and check its result",
    "gets": "read with a bound",
    "atoi": "use a checked parser",
    "atol": "use a checked parser",
    "atoll": "use a checked parser",
    "atof": "use a checked parser",
    "rand": "use pl_rng or the env's entropy",
    "srand": "use pl_rng or the env's entropy",
    "strtok": "cut spans instead",
    "alloca": "use the arena or a fixed buffer",
    "setjmp": "return a parley_err",
    "longjmp": "return a parley_err",
}
ALLOC_CALLS = ("malloc", "calloc", "realloc", "free", "strdup", "strndup")

# Spelled in pieces so that this file does not name them itself.
EXPORT_READERS = ("tools/parley/foreign.c", "tools/parley/foreign.h",
                  "tests/cli/test_foreign.py")
MACHINE_NAMES = ["/wo" + "rk/", "cla" + "ude", "help" + "er-", "/tmp/bu" + "ild-", "anth" + "ropic",
                 "/ro" + "ot/", "chat" + "gpt", "co" + "pilot"]
NOTE_WORDS = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]


class Linter:
    def __init__(self, root):
        self.root = root
        self.found = []

    def report(self, path, line, rule, advice):
        self.found.append((path, line, rule, advice))

    def run(self):
        for path in sorted(project_files(self.root)):
            with open(os.path.join(self.root, path), "rb") as file:
                text = file.read().decode("utf-8", "replace")
            self.check_text(path, text)
            if path.endswith((".c", ".h")):
                self.check_code(path, text)
        return self.found

    # ---- Every text file ----

    @staticmethod
    def without_products(path, line):
        """Programs whose exports are read may be named where that is what is spoken of."""
        if path in EXPORT_READERS:
            return ""
        if "export" not in line:
            return line
        return re.sub(r"\b(chat" r"gpt|cla" r"ude)\b", "", line, flags=re.IGNORECASE)

    def check_text(self, path, text):
        lines = text.split("\n")
        is_source = path.endswith((".c", ".h")) or is_script(path)
        for number, line in enumerate(lines, 1):
            lower = self.without_products(path, line).lower()
            for name in MACHINE_NAMES:
                if name in lower:
                    self.report(path, number, "machine-name", f"remove '{name}'; the project names "
                                "no session, tool or machine path")
            if not is_source:
                continue
            if "\t" in line:
                self.report(path, number, "tab", "use spaces")
            if line != line.rstrip():
                self.report(path, number, "trailing-space", "delete the blanks at the end")
            if len(line) > COLUMNS_MAX:
                self.report(path, number, "columns", f"{len(line)} columns; break the line at "
                            f"{COLUMNS_MAX}")
            if any(re.search(rf"\b{word}\b", line) for word in NOTE_WORDS):
                self.report(path, number, "to-do", "do it, or open an issue and delete the note")
        if not is_source:
            return
        first = 1 if lines[0].startswith("#!") and len(lines) > 1 else 0
        if "SPDX-License-Identifier: Apache-2.0" not in lines[first]:
            self.report(path, first + 1, "spdx", "begin with 'SPDX-License-Identifier: Apache-2.0'")
        count = len(lines) - (lines[-1] == "")
        if count > FILE_LINES_MAX:
            self.report(path, count, "file-length", f"{count} lines; split it by concept, at most "
                        f"{FILE_LINES_MAX}")

    # ---- C ----

    def check_code(self, path, text):
        code = blank(text)
        lines = code.split("\n")
        self.check_includes(path, text)
        self.check_calls(path, lines)
        for name, start, end in functions(lines):
            length = end - start + 1
            if length > FUNCTION_LINES_MAX:
                self.report(path, start, "function-length", f"{name} has {length} lines; at most "
                            f"{FUNCTION_LINES_MAX}, move straight-line work into leaves")
            body = "\n".join(lines[start - 1:end])
            held = re.search(r"\bgoto\s+out\b", body)
            if held and re.search(r"\bPL_TRY\s*\(", body[held.start():]):
                self.report(path, start, "try-and-goto", f"{name} uses PL_TRY behind a 'goto out': "
                            "PL_TRY leaks what is held, use goto from there on")
        if is_product(path):
            self.check_statics(path, lines)

    def check_includes(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            header = match.group(2)
            if match.group(1) == "<" and not header.startswith("parley/"):
                self.check_system_include(path, number, header)
            else:
                self.check_project_include(path, number, header)

    def check_system_include(self, path, number, header):
        for pattern, homes in HEADER_HOMES:
            if fnmatch.fnmatch(header, pattern) and not is_in(path, homes):
                self.report(path, number, "include-home", f"<{header}> is allowed only in "
                            + ", ".join(homes))
        pure = path.startswith(PURE) and (path, header) not in IMPURE_EXCEPTIONS
        if pure and is_in(header, IMPURE_HEADERS):
            self.report(path, number, "include-pure", f"<{header}> has no place in a pure layer; "
                        "take time, memory and entropy from parley_env")

    def check_project_include(self, path, number, header):
        if header.startswith("parley/"):
            return
        here = layer_of(path)
        target = self.resolve(path, header)
        if target is None:
            self.report(path, number, "include-path", f'"{header}" is no file of the project; '
                        'write "folder/file.h" below engine, net or tests')
            return
        there = layer_of(target)
        if there == here or there == "engine/include":
            return
        if target.endswith("_int.h") and not path.startswith("tests/"):
            self.report(path, number, "include-private", f"{target} is private to {there}; use its "
                        "public header")
        product = here in LAYER_NAMES or here.startswith("engine")
        if product and there not in allowed_below(here):
            self.report(path, number, "include-upward", f"{here} may not include {there}; allowed: "
                        + (", ".join(allowed_below(here)) or "engine/include only"))
        if there.startswith(("tests", "bench")) and not here.startswith(("tests", "bench")):
            self.report(path, number, "include-upward", f"{here} may not include {there}")

    def resolve(self, path, header):
        bases = [os.path.dirname(path), "engine", "net", "tests", "tools", "bench", "."]
        bases += ["engine/include"]
        for base in bases:
            candidate = os.path.normpath(os.path.join(base, header))
            if os.path.exists(os.path.join(self.root, candidate)):
                return candidate
        return None

    def check_calls(self, path, lines):
        product = is_product(path)
        for number, line in enumerate(lines, 1):
            if line.lstrip().startswith("#"):
                continue
            for match in re.finditer(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(", line):
                name = match.group(1)
                if name in BANNED_CALLS:
                    self.report(path, number, "banned-call", f"{name}: {BANNED_CALLS[name]}")
                if name in ALLOC_CALLS and not is_in(path, MALLOC_HOMES):
                    self.report(path, number, "allocation", f"{name}: take memory from env->alloc "
                                "or the caller")
            if product and re.search(r"\(\s*void\s*\)\s*[A-Za-z_][\w.>-]*\s*\(", line):
                self.report(path, number, "void-cast", "a cast is no reason: handle the result, or "
                            "pl_ignore(err, \"why\")")

    def check_statics(self, path, lines):
        depth = 0
        in_macro = False
        for number, line in enumerate(lines, 1):
            macro = in_macro or line.lstrip().startswith("#")
            in_macro = macro and line.rstrip().endswith("\\")
            if macro:
                continue
            if depth == 0 and is_object(line) and is_mutable(line):
                if path not in GLOBAL_HOMES:
                    self.report(path, number, "mutable-global", "state belongs in a struct of the "
                                "caller; constants are 'static const' (for pointers '*const')")
            elif depth > 0 and re.match(r"\s+(static|_Thread_local)\b", line) and is_mutable(line):
                self.report(path, number, "function-static", "state belongs in a struct of the "
                            "caller; constants are 'static const'")
            depth += line.count("{") - line.count("}")
            if line.startswith("}"):
                depth = 0


def is_object(line):
    """True when a line at file scope begins the definition of an object, not of a function."""
    if not re.match(r"[A-Za-z_]", line) or re.match(r"(typedef|extern|_Static_assert)\b", line):
        return False
    if re.match(r"(struct|enum|union)\s*\w*\s*(\{|;|$)", line):
        return False
    head = declarator(line)
    if "(" in head and not re.match(r"[^(]*\(\s*\*", head):
        return False
    begins = "=" in line or line.rstrip().endswith((";", "{"))
    return begins and len(re.findall(r"\w+", head)) >= 2


def is_mutable(line):
    """True for a declaration of an object that is not const itself."""
    head = declarator(line)
    if "*" in head:
        return re.match(r"[\s]*const\b", head[head.rindex("*") + 1:]) is None
    return re.search(r"\bconst\b", head) is None


def declarator(line):
    return re.split(r"[=;{\[]", line)[0]


def is_in(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def is_product(path):
    return path.startswith(("engine/", "net/", "tools/"))


def is_script(path):
    return path.endswith(SCRIPT_ENDS) or os.path.basename(path) == "CMakeLists.txt"


def layer_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def allowed_below(layer):
    if layer == "engine":  # env_posix.c sees the store that it opens, writer_posix.c db/source.h
        return ["engine/db", "engine/store", "engine/base"]
    return dict(LAYERS).get(layer, [])


def project_files(root):
    for folder, dirs, files in os.walk(root):
        dirs[:] = [d for d in dirs if d not in SKIPPED_DIRS and not d.startswith("build")]
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), root)
            in_code = path.split("/")[0] in CODE_DIRS
            if name.endswith((".c", ".h")) and in_code:
                yield path
            elif is_script(path) or name.endswith((".md", ".json", ".in", ".allow", ".service")):
                yield path


def blank(text):
    """Replaces comments and the insides of literals by blanks; line numbers stay."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def hide(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[0]
        return re.sub(r"[^\n]", " ", piece)
    return token.sub(hide, text)


def functions(lines):
    """Yields (name, first line, last line) of each function: '{' to '}' in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start is not None:
            first = start
            while first > 1 and re.match(r"\s*[^#}\s]", lines[first - 2]):
                first -= 1
            match = re.search(r"(\w+)\s*\(", " ".join(lines[first - 1:start]))
            yield (match.group(1) if match else "?"), first, number
            start = None


# ---- Self-test ----

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
VOID = "(vo" + "id)"


def planted():
    """(rule, path, text): each text breaks that rule and no other."""
    long_function = "int f(void);\nint f(void)\n{\n" + "    g = 1;\n" * 70 + "}\n"
    return [
        ("include-home", "engine/db/a.c", SPDX + "#include <uv.h>\n"),
        ("include-home", "net/uv/b.c", SPDX + "#include <lmdb.h>\n"),
        ("include-home", "net/proto/c.c", SPDX + "#include <bearssl.h>\n"),
        ("include-home", "engine/trust/d.c", SPDX + "#include <argon2.h>\n"),
        ("include-home", "net/node/nettle.c", SPDX + "#include <nettle/sha2.h>\n"),
        ("include-home", "engine/core/e.c", SPDX + "#include <msgpack.h>\n"),
        ("include-home", "tests/unit/f.c", SPDX + "#include <xxhash.h>\n"),
        ("include-home", "engine/core/g.c", SPDX + "#include <zstd.h>\n"),
        ("include-home", "net/sync/h.c", SPDX + "#include <zlib.h>\n"),
        ("include-home", "net/proto/i.c", SPDX + "#include <jansson.h>\n"),
        ("include-home", "net/uv/j.c", SPDX + "#include <qrencode.h>\n"),
        ("include-pure", "engine/base/k.c", SPDX + "#include <time.h>\n"),
        ("include-pure", "engine/core/l.c", SPDX + "#include <unistd.h>\n"),
        ("include-pure", "engine/db/m.c", SPDX + "#include <pthread.h>\n"),
        ("include-pure", "engine/trust/n.c", SPDX + "#include <sys/random.h>\n"),
        ("include-pure", "net/sync/o.c", SPDX + "#include <stdio.h>\n"),
        ("include-pure", "net/node/p.c", SPDX + "#include <stdlib.h>\n"),
        ("include-upward", "engine/base/q.c", SPDX + '#include "db/good.h"\n'),
        ("include-upward", "net/proto/r.c", SPDX + '#include "db/good.h"\n'),
        ("include-upward", "net/proto/r2.c", SPDX + '#include "store/good.h"\n'),
        ("include-upward", "net/sync/s.c", SPDX + '#include "node/good.h"\n'),
        ("include-upward", "net/uv/t.c", SPDX + '#include "lib/good.h"\n'),
        ("include-private", "net/node/u.c", SPDX + '#include "db/x_int.h"\n'),
        ("include-path", "net/node/v.c", SPDX + '#include "db/missing.h"\n'),
        ("spdx", "engine/core/w.c", "int x(void);\n"),
        ("spdx", "tools/dev/w.sh", "#!/bin/sh\nset -e\n"),
        ("spdx", "engine/CMakeLists.txt", "project(x)\n"),
        ("function-length", "engine/core/x.c", SPDX + long_function),
        ("file-length", "engine/core/y.c", SPDX + "\n" * 800),
        ("columns", "engine/core/z.c", SPDX + "/* " + "x" * 95 + " */\n"),
        ("allocation", "engine/core/aa.c",
         SPDX + "void f(void)\n{\n    g(ma" + "lloc(1));\n}\n"),
        ("allocation", "net/proto/ab.c", SPDX + "void f(void)\n{\n    fr" + "ee(p);\n}\n"),
        ("void-cast", "engine/core/ac.c", SPDX + "void f(void)\n{\n    " + VOID + "g(1);\n}\n"),
        ("void-cast", "net/uv/ad.c", SPDX + "void f(void)\n{\n    " + VOID + "a->b(1);\n}\n"),
        ("function-static", "engine/core/ae.c",
         SPDX + "int f(void)\n{\n    static int count = 0;\n    return count++;\n}\n"),
        ("function-static", "engine/core/af.c",
         SPDX + "int f(void)\n{\n    static const char *last;\n    return 0;\n}\n"),
        ("mutable-global", "engine/core/ag.c", SPDX + "static int count;\n"),
        ("mutable-global", "engine/core/ah.c", SPDX + "static struct x table[4];\n"),
        ("mutable-global", "engine/core/ai.c", SPDX + "int count = 4;\n"),
        ("mutable-global", "engine/core/aj.c", SPDX + "static const char *names[] = { 0 };\n"),
        ("mutable-global", "engine/core/ak.c", SPDX + "static void (*hook)(int);\n"),
        ("try-and-goto", "engine/core/al.c",
         SPDX + "int f(void)\n{\n    if (g())\n        goto out;\n    PL_TRY(g());\nout:\n"
         "    return 0;\n}\n"),
        ("to-do", "engine/core/am.c", SPDX + "/* TO" + "DO: later */\n"),
        ("to-do", "engine/core/an.c", SPDX + "/* FIX" + "ME */\n"),
        ("tab", "engine/core/ao.c", SPDX + "int\tf(void);\n"),
        ("trailing-space", "engine/core/ap.c", SPDX + "int f(void); \n"),
    ] + [("banned-call", f"engine/core/call_{name}.c",
          SPDX + f"void f(void)\n{{\n    {name}(a);\n}}\n") for name in BANNED_CALLS] \
      + [("machine-name", f"docs/name_{index}.md", f"See {name}x\n")
         for index, name in enumerate(MACHINE_NAMES)] \
      + [("machine-name", "docs/product.md", "Cla" + "ude wrote this.\n")]


GOOD = SPDX + """#include <stddef.h>
#include <parley/err.h>

#include "base/good.h"

struct pair {
    int a;
};

enum kind { KIND_A, KIND_B };

static const char *const names[] = { "malloc(", "static int x;" };
static const struct pair pairs[2] = { { 1 }, { 2 } };
static void (*const hook)(int) = NULL;
void pl_good_hook(void (*take)(int));
#define SWAP(a, b)     \\
    do {               \\
        g((a), (b));   \\
    } while (0)

int pl_good_f(struct pair *p);

/* The word rand(1) in a comment is nothing. */
static inline int release(struct pair *p)
{
    static const int zero = 0;
    static const struct {
        int a;
    } rows[] = { { 1 } };
    (void)p;
    p->free(p);
    return zero;
}
"""


def self_test():
    failures = 0
    with tempfile.TemporaryDirectory() as root:
        def plant(path, text):
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        for folder in LAYER_NAMES + ["tests/lib"]:
            plant(folder + "/good.h", SPDX)
        plant("engine/include/parley/err.h", SPDX)
        plant("engine/db/x_int.h", SPDX)
        plant("engine/core/good.c", GOOD)
        for rule, path, text in planted():
            plant(path, text)
        found = Linter(root).run()
    by_path = {}
    for path, _, rule, _ in found:
        by_path.setdefault(path, set()).add(rule)
    for rule, path, _ in planted():
        rules = by_path.pop(path, set())
        if rules != {rule}:
            failures += 1
            print(f"self-test: {path}: wanted {rule}, found {sorted(rules)}")
    for path, rules in by_path.items():
        failures += 1
        print(f"self-test: {path}: wanted nothing, found {sorted(rules)}")
    print(f"self-test: {len(planted())} violations planted, {failures} wrong")
    return 1 if failures else 0


def main(arguments):
    if "--self-test" in arguments:
        return self_test()
    here = os.path.dirname(os.path.abspath(__file__))
    root = arguments[0] if arguments else os.path.join(here, "..", "..")
    found = Linter(os.path.abspath(root)).run()
    for path, line, rule, advice in found:
        print(f"{path}:{line}: {rule}: {advice}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
